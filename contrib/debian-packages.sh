#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Debian 12 packages, for scripts that source this file: what a build needs, what the tests need on
# top of it, and a function that installs what is missing without a question.

# shellcheck disable=SC2034 # used by who sources this
BUILD_PACKAGES=(
    gcc libc6-dev cmake ninja-build pkg-config
    libfuse3-dev libgcrypt20-dev libssl-dev libjson-c-dev libinih-dev zlib1g-dev libbz2-dev libsystemd-dev libseccomp-dev
    libcurl4-openssl-dev libyaml-dev libgpgme-dev
)
# What the quick start runs: a mount, and gpg to make images.
# shellcheck disable=SC2034
RUN_PACKAGES=(fuse3 gnupg)
# shellcheck disable=SC2034
TEST_PACKAGES=(
    libcmocka-dev clang libclang-rt-dev clang-format clang-tidy shellcheck
    python3 rnp sq rsync pv curl attr qemu-utils util-linux strace systemd
    e2fsprogs gdb mount
    dpkg-dev file man-db mandoc apparmor python3-prometheus-client zsh
)
# For tests/openstack only: the three services, without those packages that would start them, and the
# command-line client.
# shellcheck disable=SC2034
OPENSTACK_PACKAGES=(
    python3-keystone python3-barbican python3-glance uwsgi-core uwsgi-plugin-python3 curl
    python3-openstackclient python3-barbicanclient openssl
)

# require_packages NAME...: installs those that are missing; fails with the command to run when it
# may not.
require_packages() {
    local missing=() package
    for package in "$@"; do
        if ! dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null |
            grep -qx installed; then
            missing+=("$package")
        fi
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        printf 'Packages are missing. As root, run:\n  apt-get install --no-install-recommends %s\n' \
            "${missing[*]}" >&2
        return 1
    fi
    printf 'Installing Debian packages: %s\n' "${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    # An outdated list names versions that are gone: refresh it, but do without when offline.
    apt-get -q update >/dev/null || printf 'apt-get update failed; trying with the lists there are\n' >&2
    apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
}
