#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Installs the package over a copy of this machine's root, uses it, and takes it away again.

Run by run.py in mount and process namespaces of its own: ROOT is an overlay of /, whose UPPER holds
whatever has changed. The tests stand in the order in which they happen.
"""
import json
import os
import re
import stat
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Iterator, List

sys.path.insert(0, str(Path(__file__).resolve().parent))

from apparmor_profile import TRACED, Profile, accesses  # noqa: E402
from check import expect, run, run_tests, wait_until  # noqa: E402

CONFIGURATION = "etc/glancefs/glancefs.conf"
CACHE = "var/cache/glancefs"
MANUAL_INDEX = "var/lib/man-db/auto-update"
# What dpkg, its triggers and the accounts keep for themselves.
OTHERS = ("var/lib/dpkg/", "var/log/", "var/cache/ldconfig/", MANUAL_INDEX)
ACCOUNTS = {"etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"}
ACCOUNT_COPIES = {name + "-" for name in ACCOUNTS} | {"etc/.pwd.lock"}


class Machine:
    """The root that the package is installed in."""

    def __init__(self, package: str, work: Path):
        self.package = package
        self.upper, self.root = work / "upper", work / "root"
        for path in (self.upper, work / "work", self.root):
            path.mkdir()
        run(["mount", "-t", "overlay", "-o",
             f"lowerdir=/,upperdir={self.upper},workdir={work}/work", "overlay", self.root])
        for kind, place in (("proc", "proc"), ("tmpfs", "tmp"), ("tmpfs", "run"), ("tmpfs", "mnt")):
            run(["mount", "-t", kind, kind, self.root / place])
        for place in ("dev", "sys"):
            run(["mount", "--rbind", f"/{place}", self.root / place])
        (self.root / "tmp").chmod(0o1777)
        # Each dpkg would index all manual pages of the machine, which takes seconds and tests nothing.
        (self.root / MANUAL_INDEX).unlink(missing_ok=True)
        (self.root / "tmp" / "package.deb").write_bytes(Path(package).read_bytes())

    def run(self, *command: str, expected: int = 0, user: str = "root") -> str:
        """Runs a program there, with an environment as a service's."""
        words = ["chroot", f"--userspec={user}:{user}", str(self.root), "env", "-i",
                 "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", *command]
        return run(words, expected)

    def start(self, *command: str) -> None:
        """Starts a program there, as root, in the background."""
        subprocess.Popen(["chroot", str(self.root), "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *command],
                         stdin=subprocess.DEVNULL)

    def dpkg(self, *arguments: str) -> str:
        return self.run("dpkg", "--force-unsafe-io", *arguments)

    def changed(self) -> List[str]:
        """Files that are other than on this machine, or gone; directories that are new."""
        return sorted(self._walk(self.upper))

    def _walk(self, folder: Path) -> Iterator[str]:
        for path in folder.iterdir():
            name = str(path.relative_to(self.upper))
            if not stat.S_ISDIR(path.lstat().st_mode):
                yield name
                continue
            if not (Path("/") / name).exists():
                yield name + "/"
            yield from self._walk(path)

    def left(self) -> List[str]:
        """The same without what is not the package's doing."""
        return [name for name in self.changed()
                if not name.startswith(OTHERS) and name not in ACCOUNTS | ACCOUNT_COPIES]


def the_package_installs(machine: Machine) -> None:
    machine.dpkg("--install", "/tmp/package.deb")
    expect(machine.dpkg("--verify", "glancefs") == "", "dpkg --verify finds other files than it installed")
    version = machine.run("glancefs", "--version")
    expect(version.startswith("glancefs "), f"glancefs --version says {version}")


def its_user_owns_the_caches_and_cannot_log_in(machine: Machine) -> None:
    line = machine.run("getent", "passwd", "glancefs").strip()
    expect(line.endswith("nologin"), f"the user is {line}")
    place = machine.run("stat", "--format=%U:%G %a", f"/{CACHE}").strip()
    expect(place == "glancefs:glancefs 711", f"/{CACHE} is {place}")


def daemons() -> List[str]:
    """Process ids of glancefs here; the command line of one that has ended is empty."""
    return [path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline")
            if path.read_bytes().split(b"\0")[0].endswith(b"glancefs")]


def nothing_is_enabled_or_started(machine: Machine) -> None:
    enabled = [name for name in machine.changed() if name.startswith("etc/systemd/")]
    expect(not enabled, f"links to units were made: {enabled}")
    expect(not daemons(), f"processes {daemons()} run")


def every_man_page_is_found(machine: Machine) -> None:
    for section, name in ((1, "glancefs"), (8, "glancefs-mount"), (5, "glancefs.conf"), (5, "glancefs-cache")):
        text = machine.run("man", "--warnings", "--encoding=UTF-8", str(section), name)
        expect("NAME" in text and ": warning: " not in text, f"man {section} {name} prints:\n{text[:400]}")


def installing_again_keeps_an_edited_configuration(machine: Machine) -> None:
    edited = machine.root / CONFIGURATION
    edited.write_text(edited.read_text() + "\n# edited\n")
    machine.dpkg("--install", "/tmp/package.deb")
    machine.dpkg("--configure", "--force-all", "--pending")
    expect(edited.read_text().endswith("# edited\n"), "the edit is gone")


def make_cloud(machine: Machine, cloud: str, user: str) -> str:
    """A local cloud with one encrypted image; its id."""
    plain = machine.root / "tmp" / "disk.raw"
    if not plain.exists():
        plain.write_bytes(os.urandom(3 << 20))
    machine.run("mkdir", "-m", "700", cloud, user=user)
    return machine.run("glancefs", "upload", "--cloud", f"local:{cloud}", "/tmp/disk.raw",
                       user=user).splitlines()[-1]


def compare(machine: Machine, image: str, user: str) -> None:
    machine.run("cp", f"/mnt/{user}/decrypt/{image}", f"/tmp/{user}.out", user=user)
    machine.run("cmp", "/tmp/disk.raw", f"/tmp/{user}.out")


def unmount(machine: Machine, user: str) -> None:
    machine.run("fusermount3", "-u", f"/mnt/{user}", user=user)
    wait_until(lambda: not daemons(), "the daemon's end")


def do_main_job(machine: Machine, user: str, cache: str) -> None:
    image = make_cloud(machine, f"/tmp/{user}.cloud", user)
    machine.run("install", "-d", "-o", user, f"/mnt/{user}")
    machine.run("glancefs", "mount", "--cloud", f"local:/tmp/{user}.cloud", "--cache", f"/{cache}",
                f"/mnt/{user}", user=user)
    try:
        compare(machine, image, user)
        expect(any((machine.root / cache).rglob(f"*{image}*")), f"nothing is in {cache}")
    finally:
        unmount(machine, user)


def root_mounts_reads_and_unmounts(machine: Machine) -> None:
    do_main_job(machine, "root", f"{CACHE}/root")


def the_unprivileged_user_mounts_reads_and_unmounts(machine: Machine) -> None:
    do_main_job(machine, "glancefs", f"{CACHE}/own")


def image_of(machine: Machine, user: str) -> str:
    """The image that make_cloud made."""
    return next((machine.root / f"tmp/{user}.cloud/images").glob("*.json")).stem


def check_mount_8(machine: Machine, options: str, owner: str) -> None:
    machine.run("mount", "-t", "fuse.glancefs", "-o", f"{options},_netdev,nofail", f"local:/tmp/{owner}.cloud",
                "/mnt/glancefs")
    try:
        machine.run("cp", f"/mnt/glancefs/decrypt/{image_of(machine, owner)}", "/tmp/8.out", user="glancefs")
        machine.run("cmp", "/tmp/disk.raw", "/tmp/8.out")
        machine.run("rm", "/tmp/8.out")
        expect(machine.run("findmnt", "-no", "FSTYPE", "/mnt/glancefs") == "fuse.glancefs\n", "another type is mounted")
        uids = {re.search(r"^Uid:\s(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1]
                for pid in daemons()}
        expect(uids and (owner == "root" or "0" not in uids), f"with {options} it runs as {uids}")
    finally:
        machine.run("umount", "/mnt/glancefs")
        wait_until(lambda: not daemons(), "the daemon's end")


def mount_8_mounts_for_root(machine: Machine) -> None:
    check_mount_8(machine, f"allow_other,uid=glancefs,cache=/{CACHE}/root", "root")


def mount_8_mounts_for_the_user(machine: Machine) -> None:
    check_mount_8(machine, f"drop_privileges,setuid=glancefs,cache=/{CACHE}/own", "glancefs")


def prepare_service(machine: Machine, name: str, options: str) -> str:
    """What systemd makes for glancefs@NAME, and a cloud with one image: its id."""
    credentials = f"/run/credentials/glancefs@{name}.service"
    machine.run("install", "-d", "-m700", "-o", "glancefs", credentials, f"/{CACHE}/{name}",
                f"/run/glancefs-gpg/{name}", "/srv/glancefs")
    (machine.root / "etc/glancefs" / f"{name}.conf").write_text(
        f"cloud = local:/srv/glancefs/cloud\nuid = glancefs\nallow_other = yes\n{options}")
    machine.run("install", "-m400", "-o", "glancefs", f"/etc/glancefs/{name}.conf", f"{credentials}/glancefs.conf")
    machine.run("mkdir", "-p", "/run/glancefs-mount", f"/mnt/glancefs/{name}")
    return make_cloud(machine, "/srv/glancefs/cloud", "glancefs")


def write_image(machine: Machine, cloud: str, mount: str) -> None:
    """Writes into the mount what becomes the data of a queued image, and waits for that."""
    image = str(uuid.uuid4())
    key = next((machine.root / cloud[1:] / "secrets").glob("*.payload")).stem
    record = {"name": "written", "disk_format": "raw", "container_format": "encrypted",
              "os_encrypt_format": "GPG", "os_encrypt_key_id": key}
    (machine.root / "tmp/record").write_text(json.dumps(record))
    machine.run("install", "-m600", "-o", "glancefs", "/tmp/record", f"{cloud}/images/{image}.json")
    machine.run("cp", "/tmp/disk.raw", f"{mount}/encrypt/{image}.part", user="glancefs")
    machine.run("mv", f"{mount}/encrypt/{image}.part", f"{mount}/encrypt/{image}", user="glancefs")
    wait_until((machine.root / cloud[1:] / f"images/{image}.data").exists, "the upload")


def start_service(machine: Machine, name: str) -> None:
    """The two halves as the units start them, but for systemd's sandbox; the daemon is traced."""
    socket = f"run/glancefs-mount/{name}.socket"
    machine.start("systemd-socket-activate", "--seqpacket", f"--listen=/{socket}", "glancefs", "attach",
                  f"--config=/etc/glancefs/{name}.conf", f"--cache=/{CACHE}/{name}", f"/mnt/glancefs/{name}")
    wait_until((machine.root / socket).exists, "the socket")
    machine.run("chown", "glancefs", f"/{socket}")
    machine.start("env", f"XDG_RUNTIME_DIR=/run/glancefs-gpg/{name}", "strace", "-ff", "-y", "-qq",
                  "--user=glancefs", "-o", "/tmp/trace", "-e", f"trace={','.join(TRACED)}", "glancefs", "mount", "--foreground", "--config",
                  f"/run/credentials/glancefs@{name}.service/glancefs.conf", "--cache", f"/{CACHE}/{name}",
                  f"/{socket}")
    wait_until(lambda: f"/mnt/glancefs/{name} " in Path("/proc/self/mounts").read_text(), "the mount")


def check_service_under_apparmor(machine: Machine, options: str) -> None:
    image = prepare_service(machine, "test", options)
    try:
        start_service(machine, "test")
        machine.run("cmp", "/tmp/disk.raw", f"/mnt/glancefs/test/decrypt/{image}", user="glancefs")
        write_image(machine, "/srv/glancefs/cloud", "/mnt/glancefs/test")
    finally:
        machine.run("fusermount3", "-uz", "/mnt/glancefs/test")
        wait_until(lambda: not daemons(), "the daemon's end")
        machine.run("rm", "-r", "/srv/glancefs", "/etc/glancefs/test.conf")
    profile = Profile(machine.root / "etc/apparmor.d/glancefs")
    found = {access for trace in (machine.root / "tmp").glob("trace.*")
             for access in accesses(trace.read_text(), trace.suffix[1:], machine.root)}
    expect(any(image in access.path for access in found), "the trace does not show the image's object")
    refused = sorted(access for access in found if not profile.allows(*access))
    expect(not refused, f"the profile refuses {refused}")
    machine.run("sh", "-c", "rm /tmp/trace.* /run/glancefs-mount/test.socket")


def the_service_needs_no_file_that_apparmor_refuses(machine: Machine) -> None:
    check_service_under_apparmor(machine, "")


def gpg_needs_no_file_that_apparmor_refuses(machine: Machine) -> None:
    check_service_under_apparmor(machine, "engine = gpgme\n")


def upgrade_and_removal_leave_a_mount_alone(machine: Machine) -> None:
    image = image_of(machine, "root")
    machine.run("glancefs", "mount", "--cloud", "local:/tmp/root.cloud", "--cache", f"/{CACHE}/root",
                "/mnt/root")
    try:
        machine.dpkg("--install", "/tmp/package.deb")
        compare(machine, image, "root")
        told = machine.dpkg("--remove", "glancefs")
        expect("/mnt/root" in told, f"the mount is not named:\n{told}")
        compare(machine, image, "root")
    finally:
        unmount(machine, "root")


def removal_leaves_configuration_and_cache_only(machine: Machine) -> None:
    left = [name for name in machine.left() if not name.startswith(f"{CACHE}/")]
    expected = ["etc/apparmor.d/glancefs", "etc/glancefs/", CONFIGURATION]
    if not Path("/etc/apparmor.d").exists():
        expected.insert(0, "etc/apparmor.d/")
    expect(left == expected, f"left are {left}")
    expect((machine.root / CACHE / "root").is_dir(), "the cache is gone")


def a_purge_keeps_the_cache_and_says_so(machine: Machine) -> None:
    told = machine.dpkg("--purge", "glancefs")
    expect(f"/{CACHE} is kept" in told, f"nothing is told of the cache:\n{told}")
    left = [name for name in machine.left() if not name.startswith(f"{CACHE}/")]
    expect(not left, f"left are {left}")
    expect(any((machine.root / CACHE / "root").rglob("*.*")), "the cache is empty")


def a_purge_removes_an_empty_cache_and_what_was_enabled(machine: Machine) -> None:
    machine.run("rm", "-r", f"/{CACHE}/root", f"/{CACHE}/own", f"/{CACHE}/test")
    machine.dpkg("--install", "/tmp/package.deb")
    machine.run("systemctl", "enable", "glancefs@test")
    enabled = [name for name in machine.left() if name.endswith("/glancefs@test.service")]
    expect(len(enabled) == 1, f"enabling made {enabled}")
    machine.dpkg("--purge", "glancefs")
    expect(not machine.left(), f"left are {machine.left()}")


def under_systemd_only_a_removal_stops_units(machine: Machine) -> None:
    calls, systemctl = machine.root / "tmp/calls", machine.root / "usr/bin/systemctl"
    machine.run("mkdir", "-p", "/run/systemd/system")
    machine.run("rm", "-f", "/usr/sbin/policy-rc.d")  # of containers, where it forbids everything
    systemctl.write_text('#!/bin/sh\necho "$*" >>/tmp/calls\n')
    for argument, wanted in (("--install", ["daemon-reload"]), ("--install", ["daemon-reload"]),
                             ("--remove", ["stop glancefs@*.service glancefs-mount@*.socket", "daemon-reload"])):
        calls.write_text("")
        machine.dpkg(argument, "glancefs" if argument == "--remove" else "/tmp/package.deb")
        made = calls.read_text().splitlines()
        expect(made == wanted, f"dpkg {argument} asked systemd for {made}")


def only_the_user_stays(machine: Machine) -> None:
    for name in sorted(ACCOUNTS):
        before = set((Path("/") / name).read_text().splitlines())
        after = set((machine.root / name).read_text().splitlines())
        other = [line for line in before ^ after if not line.startswith("glancefs:")]
        expect(not other, f"/{name} has changed: {other}")


TESTS = [the_package_installs, its_user_owns_the_caches_and_cannot_log_in, nothing_is_enabled_or_started,
         every_man_page_is_found, installing_again_keeps_an_edited_configuration,
         root_mounts_reads_and_unmounts, the_unprivileged_user_mounts_reads_and_unmounts,
         mount_8_mounts_for_root, mount_8_mounts_for_the_user,
         the_service_needs_no_file_that_apparmor_refuses, gpg_needs_no_file_that_apparmor_refuses,
         upgrade_and_removal_leave_a_mount_alone, removal_leaves_configuration_and_cache_only,
         a_purge_keeps_the_cache_and_says_so, a_purge_removes_an_empty_cache_and_what_was_enabled,
         under_systemd_only_a_removal_stops_units, only_the_user_stays]

if __name__ == "__main__":
    WORK = Path(sys.argv[2])
    run(["mount", "-t", "tmpfs", "tmpfs", WORK])
    FAILED = run_tests(TESTS, Machine(sys.argv[1], WORK))
    print(f"{len(TESTS) - FAILED} passed, {FAILED} failed")
    sys.exit(1 if FAILED else 0)
