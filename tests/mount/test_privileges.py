# SPDX-License-Identifier: Apache-2.0
"""What the daemon may still do while it serves, who it is, and who mounts for it."""
import errno
import json
import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List

from bed import Bed, check, equal, raises, same_bytes
from messages import plaintext
from registry import test
from traced import can_trace, exec_in, fork_in
from write_bed import file_of, has_state, part_of, queued

DATA = plaintext(3_000_000)
NOBODY = pwd.getpwnam("nobody")
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")

# mount(8) runs a program of the usual places: in a mount namespace of its own that is ours.
MOUNT_BY_HELPER = """
mount --bind "$1" /usr/local/bin && mount -t fuse.glancefs "$2" "$3" -o "$4" || exit
echo mounted
read line
umount "$3"
"""


# Runs its arguments where the first system call of Landlock is ENOSYS.
WITHOUT_LANDLOCK = """
import ctypes, errno, os, sys
seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p
rules = ctypes.c_void_p(seccomp.seccomp_init(0x7fff0000))
call = seccomp.seccomp_syscall_resolve_name(b"landlock_create_ruleset")
assert seccomp.seccomp_rule_add_array(rules, 0x50000 | errno.ENOSYS, call, 0, None) == 0
assert seccomp.seccomp_load(rules) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


def status(pid: int) -> Dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="utf-8") as lines:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def processes(bed: Bed) -> Dict[str, int]:
    """By their names, those of this test's mount."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "exe") == str(bed.program) and \
                    str(bed.tmp).encode() in (entry / "cmdline").read_bytes():
                found[status(int(entry.name))["Name"]] = int(entry.name)
        except OSError:
            continue
    return found


def is_sanitized(bed: Bed) -> bool:
    return bed.slowness > 1


def give_to_nobody(bed: Bed, *paths: Path) -> None:
    for place in (bed.tmp.parent, bed.tmp):
        place.chmod(0o711)
    for path in (bed.cloud.path, *bed.cloud.path.rglob("*"), *paths):
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)


def check_sandbox(bed: Bed, pid: int, has_bounding_set: bool = False) -> None:
    found = status(pid)
    for name in SETS:
        if name != "CapBnd" or not has_bounding_set:
            equal(int(found[name], 16), 0, name)
    equal(found["NoNewPrivs"], "1", "no_new_privs")
    equal(found["Seccomp"], "0" if is_sanitized(bed) else "2", "seccomp")


def check_is_nobody(pid: int) -> None:
    found = status(pid)
    equal(found["Uid"].split(), [str(NOBODY.pw_uid)] * 4, "the user")
    equal(found["Gid"].split(), [str(NOBODY.pw_gid)] * 4, "the group")
    check(set(found["Groups"].split()) <= {str(NOBODY.pw_gid)}, f"groups: {found['Groups']}")


def check_reads_and_writes(bed: Bed, image: str, target: str) -> None:
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    part_of(bed, target).write_bytes(DATA)
    part_of(bed, target).rename(file_of(bed, target))
    has_state(bed, file_of(bed, target), "active")


# --- the sandbox ---

@test
def the_daemon_of_root_has_no_capability_left(bed):
    image, target = bed.image(DATA), queued(bed)
    bed.mount()
    check_reads_and_writes(bed, image, target)
    check_sandbox(bed, bed.daemon.pid)


@test
def every_thread_is_in_the_sandbox(bed):
    image, target = bed.image(DATA), queued(bed)
    bed.mount()
    check_reads_and_writes(bed, image, target)
    threads = [entry.name for entry in Path(f"/proc/{bed.daemon.pid}/task").iterdir()]
    check(len(threads) > 3, f"there are only the threads {threads}")
    for thread in threads:
        check_sandbox(bed, int(thread))


@test
def sandbox_no_leaves_root_as_it_is(bed):
    bed.mount("-o", "sandbox=no")
    found = status(bed.daemon.pid)
    check(int(found["CapEff"], 16) != 0, "root has no capability")
    equal(found["NoNewPrivs"], "0", "no_new_privs")


@test
def a_daemon_that_stays_root_says_so(bed):
    bed.mount()
    os.listdir(bed.mount_point)
    check("stays root" in bed.log_text(), f"the log: {bed.log_text()!r}")


@test
def status_tells_of_the_sandbox(bed):
    bed.mount()
    found = json.loads((bed.mount_point / "status").read_text())["sandbox"]
    if is_sanitized(bed):
        equal(found, {"entered": True, "landlock_abi": 0, "seccomp": False, "gpg_helper": None},
              "status")
    else:
        check(found.pop("landlock_abi") >= 2, "Landlock is not used")
        equal(found, {"entered": True, "seccomp": True, "gpg_helper": None}, "status")
    check(b"sandbox   " in bed.glancefs("status", bed.mount_point).stdout, "status says nothing of it")


@test
def a_kernel_without_landlock_is_told(bed):
    """A filter answers as such a kernel does."""
    image = bed.image(DATA)
    bed.mount(command=[sys.executable, "-c", WITHOUT_LANDLOCK, *bed.mount_command()])
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    found = json.loads((bed.mount_point / "status").read_text())["sandbox"]
    equal(found["landlock_abi"], 0, "what status says of Landlock")
    if not is_sanitized(bed):
        check("lacks Landlock" in bed.log_text(), f"the log: {bed.log_text()!r}")
        check(b"no Landlock" in bed.glancefs("status", bed.mount_point).stdout, "status does not warn")


# --- who it is ---

@test
def setuid_makes_the_daemon_another_user(bed):
    image, target = bed.image(DATA), queued(bed)
    give_to_nobody(bed)
    os.chown(bed.tmp, NOBODY.pw_uid, NOBODY.pw_gid)
    bed.mount("-o", "setuid=nobody,max_memory=64M")
    check_is_nobody(bed.daemon.pid)
    check_sandbox(bed, bed.daemon.pid)
    if not is_sanitized(bed):
        equal(status(bed.daemon.pid)["VmLck"], f"{64 << 10} kB", "locked memory")
    check_reads_and_writes(bed, image, target)
    for path in (bed.cache, *bed.cache.rglob("*")):
        equal(path.stat().st_uid, NOBODY.pw_uid, f"the owner of {path}")
    check("stays root" not in bed.log_text(), f"the log: {bed.log_text()!r}")
    equal(bed.stop(), 0, "the exit code")
    check(not bed.is_mounted(), "it is still mounted")


@test
def setuid_takes_a_number(bed):
    give_to_nobody(bed)
    bed.mount("-o", f"setuid={NOBODY.pw_uid}")
    check_is_nobody(bed.daemon.pid)


@test
def of_a_user_root_became_the_files_are_roots_all_the_same(bed):
    """uid and gid say whom files belong to; by default, who mounts."""
    image = bed.image(DATA)
    give_to_nobody(bed)
    bed.mount("-o", "setuid=nobody")
    equal(bed.view(image).stat().st_uid, 0, "the owner")


@test
def a_user_that_is_not_there_is_refused(bed):
    answer = bed.run(*bed.mount_command("-o", "setuid=nobody-of-that-name"), code=2)
    check(b"nobody-of-that-name" in answer.stderr, f"it says {answer.stderr!r}")
    check(not bed.is_mounted(), "it is mounted")


@test
def a_cache_of_somebody_else_is_refused(bed):
    give_to_nobody(bed)
    bed.cache.mkdir(mode=0o700)
    answer = bed.run(*bed.mount_command("-o", "setuid=nobody"), code=4)
    check(b"cache" in answer.stderr, f"it says {answer.stderr!r}")
    check(not bed.is_mounted(), "it is mounted")


def as_nobody(*command: object) -> List[str]:
    return ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups",
            *[str(word) for word in command]]


def program_for_all(bed: Bed) -> Path:
    """The program where nobody may run it."""
    copy = bed.tmp / "glancefs"
    copy.write_bytes(bed.program.read_bytes())
    copy.chmod(0o755)
    return copy


@test
def a_plain_user_mounts_by_fusermount3(bed):
    image = bed.image(DATA)
    give_to_nobody(bed, bed.mount_point)
    os.chown(bed.tmp, NOBODY.pw_uid, NOBODY.pw_gid)
    bed.program = program_for_all(bed)
    bed.mount(command=as_nobody(*bed.mount_command()))
    equal(status(bed.daemon.pid)["Uid"].split(), [str(NOBODY.pw_uid)] * 4, "the user")
    check_sandbox(bed, bed.daemon.pid, has_bounding_set=True)
    same_bytes(bed.run(*as_nobody("cat", bed.view(image))).stdout, DATA, "cat's output")
    equal(bed.stop(), 0, "the exit code")
    check(not bed.is_mounted(), "it is still mounted")


@test
def a_plain_user_cannot_become_somebody_else(bed):
    give_to_nobody(bed, bed.mount_point)
    bed.program = program_for_all(bed)
    answer = bed.run(*as_nobody(*bed.mount_command("-o", "setuid=root")), code=4)
    check(b"only root" in answer.stderr, f"it says {answer.stderr!r}")


# --- who mounts ---

@test
def the_keeper_may_only_unmount_and_ends_with_the_daemon(bed):
    give_to_nobody(bed)
    bed.mount("-o", "setuid=nobody")
    keeper = processes(bed)["glancefs-mount"]
    found = status(keeper)
    unmounting = 1 << 21 | 1 << 2  # CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH
    equal(int(found["CapEff"], 16), unmounting, "its capabilities")
    equal(int(found["CapBnd"], 16), 0, "its bounding set")
    descriptors = sorted(int(name) for name in os.listdir(f"/proc/{keeper}/fd"))
    equal(len(descriptors), 4, f"standard descriptors and its socket, of {descriptors}")
    equal({os.readlink(f"/proc/{keeper}/fd/{fd}") for fd in (0, 1, 2)}, {"/dev/null"}, "its output")
    bed.stop()
    check(not Path(f"/proc/{keeper}").exists(), "the keeper is still there")


@test
def signals_to_the_keeper_do_not_end_it(bed):
    bed.mount()
    keeper = processes(bed)["glancefs-mount"]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(keeper, number)
    time.sleep(0.1)
    equal(bed.stop(), 0, "the exit code")
    check(not bed.is_mounted(), "it is still mounted")


@test
def a_closed_standard_input_costs_nothing(bed):
    """What is opened then gets its number."""
    bed.run("sh", "-c", 'exec "$@" <&-', "sh", *bed.mount_command(foreground=False), limit=20)
    os.kill(processes(bed)["glancefs"], signal.SIGTERM)
    bed.wait_for(lambda: not processes(bed), 20, "daemon and keeper to end")
    check(not bed.is_mounted(), "it is still mounted")


@test
def a_mount_whose_daemon_was_killed_stays_in_the_way(bed):
    """Were it undone, writers would go on in the directory below, in plaintext."""
    bed.mount()
    keeper = processes(bed)["glancefs-mount"]
    bed.daemon.kill()
    bed.daemon.wait()
    bed.daemon = None
    bed.wait_for(lambda: not Path(f"/proc/{keeper}").exists(), 10, "the keeper to end")
    raises(errno.ENOTCONN, lambda: os.listdir(bed.mount_point), "listing it")
    check(bed.is_mounted(), "it is not mounted any more")
    bed.run("fusermount3", "-uz", bed.mount_point)


@test
def a_descriptor_that_is_no_fuse_device_is_refused(bed):
    with open("/dev/null", "rb") as null:
        answer = bed.run(bed.program, "mount", "--cloud", bed.cloud.name, "--cache", bed.cache, "-f",
                         f"/dev/fd/{null.fileno()}", pass_fds=[null.fileno()], code=2)
    check(b"is not /dev/fuse" in answer.stderr, f"it says {answer.stderr!r}")


class MountedByHelper:
    """mount -t fuse.glancefs, which is what a line of fstab comes to."""

    def __init__(self, bed: Bed, options: str):
        self.bed = bed
        programs = bed.tmp / "bin"
        programs.mkdir()
        (programs / "glancefs").symlink_to(bed.program)
        options = f"cache={bed.cache},nosuid,nodev,noexec,default_permissions{options}"
        self.script = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                                        MOUNT_BY_HELPER, "sh", str(programs), bed.cloud.name,
                                        str(bed.mount_point), options],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        bed.children.append(self.script)
        said = self.script.stdout.readline()
        check(said == b"mounted\n", f"mount failed: {said!r}")
        self.daemon = processes(bed)["glancefs"]

    def read(self, image: str) -> bytes:
        view = Path(f"/proc/{self.script.pid}/root") / str(self.bed.view(image)).lstrip("/")
        return view.read_bytes()

    def unmount(self) -> None:
        self.script.stdin.write(b"\n")
        self.script.stdin.flush()
        equal(self.script.wait(self.bed.seconds(20)), 0, "umount's exit code")
        self.bed.wait_for(lambda: not processes(self.bed), 10, "the daemon to end")


@test
def mount_by_its_type_mounts(bed):
    image = bed.image(DATA)
    mounted = MountedByHelper(bed, "")
    same_bytes(mounted.read(image), DATA, "the image")
    check_sandbox(bed, mounted.daemon)
    mounted.unmount()


@test
def mount_by_its_type_drops_roots_privileges(bed):
    """mount.fuse3 mounts itself then, and passes the device."""
    image = bed.image(DATA)
    mounted = MountedByHelper(bed, ",drop_privileges")
    same_bytes(mounted.read(image), DATA, "the image")
    check_sandbox(bed, mounted.daemon)
    equal(set(processes(bed)), {"glancefs"}, "processes")
    mounted.unmount()


@test
def mount_by_its_type_drops_to_another_user(bed):
    image = bed.image(DATA)
    give_to_nobody(bed)
    os.chown(bed.tmp, NOBODY.pw_uid, NOBODY.pw_gid)
    bed.program = program_for_all(bed)
    mounted = MountedByHelper(bed, ",drop_privileges,setuid=nobody,allow_other,uid=0")
    same_bytes(mounted.read(image), DATA, "the image")
    check_is_nobody(mounted.daemon)
    check_sandbox(bed, mounted.daemon)
    mounted.unmount()


# --- gpg ---

def mount_with_gpg(bed: Bed) -> Path:
    """As another user, with the second engine; returns the runtime directory."""
    give_to_nobody(bed)
    runtime = bed.tmp / "runtime"
    runtime.mkdir(mode=0o700)
    os.chown(runtime, NOBODY.pw_uid, NOBODY.pw_gid)
    bed.mount("-o", f"setuid=nobody,engine=gpgme,runtime={runtime}")
    return runtime


@test
def gpg_is_run_by_processes_of_the_same_user(bed):
    image, target = bed.image(DATA), queued(bed)
    runtime = mount_with_gpg(bed)
    with open(bed.view(image), "rb", buffering=0) as stream:
        stream.read(1000)
        found = processes(bed)
        equal(sorted(found), ["glancefs", "glancefs-gpg", "glancefs-gpg-op", "glancefs-mount",
                              "glancefs-warden"], "the processes")
        for name in set(found) - {"glancefs-mount"}:
            check_is_nobody(found[name])
            check_sandbox(bed, found[name])
    check_reads_and_writes(bed, image, target)
    equal(bed.stop(), 0, "the exit code")
    equal(list(runtime.iterdir()), [], "what is left in the runtime directory")
    equal(processes(bed), {}, "the processes")


@test
def the_daemon_cannot_run_programs_while_its_helper_can(bed):
    image = bed.image(DATA)
    mount_with_gpg(bed)
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    if is_sanitized(bed) or not can_trace():
        return
    threads = [int(entry.name) for entry in Path(f"/proc/{bed.daemon.pid}/task").iterdir()]
    for thread in threads:
        equal((exec_in(thread), fork_in(thread)), (errno.EPERM, errno.EPERM), "the daemon's errno")
    helper = processes(bed)["glancefs-gpg"]
    equal((exec_in(helper), fork_in(helper)), (errno.EFAULT, errno.EINVAL), "the helper's errno")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output afterwards")


@test
def without_a_sandbox_the_helper_has_no_capability_all_the_same(bed):
    image = bed.image(DATA)
    bed.mount("-o", f"sandbox=no,engine=gpgme,runtime={bed.tmp / 'runtime'}")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    for name in ("glancefs-gpg", "glancefs-warden"):
        found = status(processes(bed)[name])
        equal([int(found[which], 16) for which in SETS], [0] * len(SETS), "capabilities")
        equal((found["NoNewPrivs"], found["Seccomp"]), ("1", "0"), "no_new_privs and seccomp")
