#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Installs the package over a copy of this machine's root, uses it, and takes it away again.

Run by run.py in mount and process namespaces of its own: ROOT is an overlay of /, whose UPPER holds
whatever has changed. The tests stand in the order in which they happen.
"""
import os
import stat
import sys
from pathlib import Path
from typing import Iterator, List

sys.path.insert(0, str(Path(__file__).resolve().parent))

from check import expect, run, run_tests, wait_until  # noqa: E402

CONFIGURATION = "etc/glancefs/glancefs.conf"
CACHE = "var/cache/glancefs"
# What dpkg, its triggers and the accounts keep for themselves.
OTHERS = ("var/lib/dpkg/", "var/log/", "var/cache/man/", "var/cache/ldconfig/")
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
        (self.root / "tmp" / "package.deb").write_bytes(Path(package).read_bytes())

    def run(self, *command: str, expected: int = 0, user: str = "root") -> str:
        """Runs a program there, with an environment as a service's."""
        words = ["chroot", f"--userspec={user}:{user}", str(self.root), "env", "-i",
                 "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", *command]
        return run(words, expected)

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


def do_main_job(machine: Machine, user: str, cache: str, *mount: str) -> None:
    image = make_cloud(machine, f"/tmp/{user}.cloud", user)
    machine.run("install", "-d", "-o", user, f"/mnt/{user}")
    machine.run(*mount, user=user)
    try:
        compare(machine, image, user)
        expect(any((machine.root / cache).rglob(f"*{image}*")), f"nothing is in {cache}")
    finally:
        unmount(machine, user)


def root_mounts_reads_and_unmounts(machine: Machine) -> None:
    do_main_job(machine, "root", f"{CACHE}/root", "glancefs", "mount", "--cloud", "local:/tmp/root.cloud",
                "--cache", f"/{CACHE}/root", "/mnt/root")


def the_unprivileged_user_mounts_reads_and_unmounts(machine: Machine) -> None:
    do_main_job(machine, "glancefs", f"{CACHE}/own", "glancefs", "mount", "--cloud",
                "local:/tmp/glancefs.cloud", "--cache", f"/{CACHE}/own", "/mnt/glancefs")


def upgrade_and_removal_leave_a_mount_alone(machine: Machine) -> None:
    image = next((machine.root / "tmp/root.cloud/images").glob("*.json")).stem
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


def a_purge_removes_an_empty_cache(machine: Machine) -> None:
    machine.run("rm", "-r", f"/{CACHE}/root", f"/{CACHE}/own")
    machine.dpkg("--install", "/tmp/package.deb")
    machine.dpkg("--purge", "glancefs")
    expect(not machine.left(), f"left are {machine.left()}")


def only_the_user_stays(machine: Machine) -> None:
    for name in sorted(ACCOUNTS):
        before = set((Path("/") / name).read_text().splitlines())
        after = set((machine.root / name).read_text().splitlines())
        other = [line for line in before ^ after if not line.startswith("glancefs:")]
        expect(not other, f"/{name} has changed: {other}")


TESTS = [the_package_installs, its_user_owns_the_caches_and_cannot_log_in, nothing_is_enabled_or_started,
         every_man_page_is_found, installing_again_keeps_an_edited_configuration,
         root_mounts_reads_and_unmounts, the_unprivileged_user_mounts_reads_and_unmounts,
         upgrade_and_removal_leave_a_mount_alone, removal_leaves_configuration_and_cache_only,
         a_purge_keeps_the_cache_and_says_so, a_purge_removes_an_empty_cache, only_the_user_stays]

if __name__ == "__main__":
    WORK = Path(sys.argv[2])
    run(["mount", "-t", "tmpfs", "tmpfs", WORK])
    FAILED = run_tests(TESTS, Machine(sys.argv[1], WORK))
    print(f"{len(TESTS) - FAILED} passed, {FAILED} failed")
    sys.exit(1 if FAILED else 0)
