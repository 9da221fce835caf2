#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The main job on real input, in a temporary directory: images that GnuPG encrypted are read
# through a mount, a tampered copy is refused, and a disk that is written into the mount becomes an
# image that GnuPG opens. Leaves nothing behind; exits non-zero when anything is not as it should be.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=contrib/debian-packages.sh
source "$top/contrib/debian-packages.sh"

if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; else bold='' plain=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
tell() { printf '   %s\n' "$*"; }
fail() {
    printf '\nQuick start FAILED: %s\n' "$*" >&2
    exit 1
}

work=$(mktemp -d "${TMPDIR:-/tmp}/glancefs-quickstart.XXXXXX")
clean_up() {
    if mountpoint -q "$work/mount"; then
        fusermount3 -u "$work/mount" || fusermount3 -uz "$work/mount"
    fi
    gpgconf --homedir "$work/gnupg" --kill all 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say "1. Packages and build"
require_packages "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}"
[ -c /dev/fuse ] || fail "/dev/fuse is missing; a container needs --device /dev/fuse --cap-add SYS_ADMIN"
build() {
    cmake --preset release -DGLANCEFS_TESTS=OFF -DGLANCEFS_WERROR=OFF && cmake --build --preset release
}
if ! (cd "$top" && build) >"$work/build.log" 2>&1; then
    cat "$work/build.log" >&2
    fail "the build"
fi
glancefs=$top/build/release/src/cli/glancefs
tell "built $("$glancefs" --version) in build/release"

mkdir -m 700 "$work/gnupg"
mkdir -p "$work/mount" "$work/out" "$work/cloud/images" "$work/cloud/secrets"
cloud=local:$work/cloud
checksum() { sha256sum "$1" | cut -d ' ' -f 1; }
short() { printf '%s...' "${1:0:16}"; }

say "2. A disk image, a key, and a local cloud (a directory in the place of Glance and Barbican)"
# Programs of this machine and a hole: something that compresses like a disk does. Not --pipefail's
# business: tar is told to stop when head has enough.
{ tar -cf - -C / usr/bin 2>/dev/null || true; } | head -c 24M >"$work/disk.raw"
truncate -s 32M "$work/disk.raw"
plain_sum=$(checksum "$work/disk.raw")
tell "disk.raw: 32 MiB, sha256 $(short "$plain_sum")"
key=$("$glancefs" key create --cloud "$cloud" --name quickstart --type passphrase)
tell "secret $key (the passphrase, kept by the key manager)"

say "3. GnuPG encrypts it twice: with its defaults (compressed), and with -z0"
encrypt() { # OUTPUT GPG-OPTION...
    local output=$1
    shift
    gpg --homedir "$work/gnupg" --batch --quiet --no-symkey-cache --pinentry-mode loopback \
        --passphrase-file "$work/cloud/secrets/$key.payload" "$@" \
        --output "$output" --symmetric "$work/disk.raw"
}
add() { # NAME FILE: prints the image's id
    "$glancefs" images add --cloud "$cloud" --name "$1" --key "$key" \
        --decrypt-size "$(stat -c %s "$work/disk.raw")" "$2"
}
encrypt "$work/default.gpg"
encrypt "$work/uncompressed.gpg" -z0
tell "default.gpg $(stat -c %s "$work/default.gpg") bytes, uncompressed.gpg $(stat -c %s "$work/uncompressed.gpg") bytes"
default=$(add gpg-defaults "$work/default.gpg")
uncompressed=$(add gpg-z0 "$work/uncompressed.gpg")

# The tampered copy is an honest upload of damaged bytes: Glance's hash matches them, so that only
# the message itself can tell.
cp "$work/uncompressed.gpg" "$work/tampered.gpg"
middle=$(($(stat -c %s "$work/tampered.gpg") / 2))
byte=$(dd if="$work/tampered.gpg" bs=1 skip=$middle count=1 status=none | od -An -tu1)
printf '%b' "\\x$(printf '%02x' $((byte ^ 1)))" |
    dd of="$work/tampered.gpg" bs=1 seek=$middle conv=notrunc status=none
tampered=$(add tampered "$work/tampered.gpg")
"$glancefs" images list --cloud "$cloud" | sed 's/^/   /'

say "4. Mount: glancefs mount --cloud local:DIR --cache DIR MOUNT"
"$glancefs" mount --cloud "$cloud" --cache "$work/cache" "$work/mount"
mountpoint -q "$work/mount" || fail "the mount is not there"
find "$work/mount" -maxdepth 1 -mindepth 1 -printf '   MOUNT/%P\n' | sort

say "5. cp out of decrypt/ and compare"
copy_and_compare() { # NAME ID
    cp "$work/mount/decrypt/$2" "$work/out/$1" || fail "cp of $1"
    local sum
    sum=$(checksum "$work/out/$1")
    [ "$sum" = "$plain_sum" ] || fail "$1 has sha256 $sum instead of $plain_sum"
    tell "$1: sha256 $(short "$sum") the same as disk.raw"
}
copy_and_compare gpg-defaults "$default"
copy_and_compare gpg-z0 "$uncompressed"

say "6. The copy in which one byte was flipped is refused"
if message=$(cp "$work/mount/decrypt/$tampered" "$work/out/tampered" 2>&1); then
    fail "cp of the tampered image succeeded"
fi
[ ! -e "$work/out/tampered" ] || fail "cp of the tampered image left a file"
tell "cp: ${message##*: } - and no file was left behind"

say "7. The cache holds ciphertext only"
cmp -s <(find "$work/cache" -type f -size +1M -exec sha256sum {} + | cut -d ' ' -f 1 | sort) \
    <(sha256sum "$work/default.gpg" "$work/uncompressed.gpg" | cut -d ' ' -f 1 | sort) ||
    fail "the cache holds something else than the two sound images"
tell "its files are the two sound images as GnuPG wrote them; the tampered one was not kept"

say "8. cp into encrypt/: a queued image becomes active, and GnuPG opens it"
# What `openstack image create` makes before its data is there, as a local cloud keeps it.
written=$(cat /proc/sys/kernel/random/uuid)
printf '{"name": "written", "disk_format": "raw", "container_format": "encrypted",
"os_encrypt_format": "GPG", "os_encrypt_key_id": "%s"}' "$key" >"$work/cloud/images/$written.json"
cp "$work/disk.raw" "$work/mount/encrypt/$written.part"
mv "$work/mount/encrypt/$written.part" "$work/mount/encrypt/$written"
tell "cp to encrypt/ID.part, mv to encrypt/ID: sealed; the upload runs in the background"
"$glancefs" uploads wait --cloud "$cloud" --cache "$work/cache" --timeout 60 "$written" ||
    fail "the image did not become active"
"$glancefs" images list --cloud "$cloud" | sed -n "1p; /$written/p" | sed 's/^/   /'
gpg --homedir "$work/gnupg" --batch --quiet --no-symkey-cache --pinentry-mode loopback \
    --passphrase-file "$work/cloud/secrets/$key.payload" \
    --output "$work/out/written" --decrypt "$work/cloud/images/$written.data"
written_sum=$(checksum "$work/out/written")
[ "$written_sum" = "$plain_sum" ] || fail "gpg makes sha256 $written_sum of it instead of $plain_sum"
tell "gpg decrypts what the image service stores: sha256 $(short "$written_sum") the same as disk.raw"

say "9. Unmount"
fusermount3 -u "$work/mount"
! mountpoint -q "$work/mount" || fail "it is still mounted"
tell "done: everything is as it should be"
