# SPDX-License-Identifier: Apache-2.0
"""Who mounts and unmounts where: the right mount and no other, and what is believed of whom."""
import array
import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional

from bed import Bed, check, equal, mounted_below, raises, same_bytes
from messages import plaintext
from registry import test

DATA = plaintext(3_000_000)

# Runs its arguments where close_range is ENOSYS.
WITHOUT_CLOSE_RANGE = """
import ctypes, errno, os, sys
seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p
rules = ctypes.c_void_p(seccomp.seccomp_init(0x7fff0000))
call = seccomp.seccomp_syscall_resolve_name(b"close_range")
assert seccomp.seccomp_rule_add_array(rules, 0x50000 | errno.ENOSYS, call, 0, None) == 0
assert seccomp.seccomp_load(rules) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
PIDFD_GETFD = 438
LIBRARY = ctypes.CDLL(None, use_errno=True)


def mount_other(bed: Bed) -> None:
    bed.run("mount", "-t", "tmpfs", "other", bed.mount_point)


def types_at(place: Path) -> List[str]:
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        return [line.split()[2] for line in mounts if line.split()[1] == str(place)]


def processes(bed: Bed) -> Dict[str, int]:
    """By their names, those of this test's mount."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "exe") == str(bed.program) and \
                    str(bed.tmp).encode() in (entry / "cmdline").read_bytes():
                found[(entry / "comm").read_text().strip()] = int(entry.name)
        except OSError:
            continue
    return found


# --- which mount is unmounted ---

@test
def a_mount_point_that_is_a_link_is_unmounted(bed):
    place = bed.mount_point
    bed.mount_point = bed.tmp / "link"
    bed.mount_point.symlink_to(place)
    bed.daemon = bed.start(*bed.mount_command())
    bed.wait_for(lambda: types_at(place), 20, "the mount to appear")
    equal(bed.stop(), 0, "the exit code")
    equal(types_at(place), [], "what is mounted")


@test
def what_somebody_mounted_in_its_place_stays(bed):
    """Files that are open keep a mount alive that `fusermount3 -uz` has taken away."""
    image = bed.image(DATA)
    bed.mount()
    reader = os.open(bed.view(image), os.O_RDONLY)
    try:
        os.read(reader, 4096)
        bed.run("fusermount3", "-uz", bed.mount_point)
        mount_other(bed)
        bed.daemon.send_signal(signal.SIGTERM)
        bed.wait_for(lambda: "told to end" in bed.log_text(), 10, "the end to begin")
        equal(bed.stop(), 0, "the exit code")
        equal(types_at(bed.mount_point), ["tmpfs"], "what is mounted")
        check("cannot unmount" not in bed.log_text(), f"the log: {bed.log_text()!r}")
    finally:
        raises(errno.ENOTCONN, lambda: os.close(reader), "closing what a dead daemon had open")
        bed.run("umount", bed.mount_point)


@test
def what_somebody_mounted_on_top_of_it_stays(bed):
    bed.mount()
    mount_other(bed)
    equal(bed.stop(), 0, "the exit code")
    equal(types_at(bed.mount_point), ["fuse.glancefs", "tmpfs"], "what is mounted")
    check("something else is mounted on top" in bed.log_text(), f"the log: {bed.log_text()!r}")
    bed.run("umount", bed.mount_point)
    bed.run("umount", "-l", bed.mount_point)


@test
def a_mount_that_has_moved_is_unmounted(bed):
    """Its path in the kernel's table is escaped."""
    place = bed.tmp / "a b\\c"
    place.mkdir()
    bed.mount_point = place / "mount"
    bed.mount_point.mkdir()
    moved = bed.tmp / "d\te\nf"
    bed.daemon = bed.start(*bed.mount_command())
    bed.wait_for(lambda: mounted_below(bed.tmp), 20, "the mount to appear")
    place.rename(moved)
    equal(bed.stop(), 0, "the exit code")
    equal(mounted_below(bed.tmp), [], "what is mounted")


@test
def a_mount_without_its_keeper_stays_and_is_told(bed):
    bed.mount()
    os.kill(processes(bed)["glancefs-mount"], signal.SIGKILL)
    equal(bed.stop(), 0, "the exit code")
    check("the dead mount stays" in bed.log_text(), f"the log: {bed.log_text()!r}")
    bed.run("fusermount3", "-uz", bed.mount_point)


# --- what a daemon that was taken over gets out of its keeper ---

def take_keepers_socket(pid: int) -> socket.socket:
    """The daemon's end: the only socket of sequenced packets that it has."""
    process = os.pidfd_open(pid)
    for name in os.listdir(f"/proc/{pid}/fd"):
        if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
            continue
        fd = LIBRARY.syscall(PIDFD_GETFD, process, int(name), 0)
        found = socket.socket(fileno=fd)
        if found.type == socket.SOCK_SEQPACKET:
            os.close(process)
            return found
        found.close()
    raise AssertionError("the daemon has no keeper")


def answer_to(daemon: socket.socket, order: bytes) -> bytes:
    """Nothing when the keeper has ended."""
    try:
        daemon.send(order)
        return daemon.recv(4096)
    except (BrokenPipeError, ConnectionResetError):
        return b""


@test
def the_keeper_unmounts_its_mount_once_and_nothing_below(bed):
    mount_other(bed)
    try:
        bed.mount()  # returns at once: something is mounted
        bed.wait_for(lambda: types_at(bed.mount_point) == ["tmpfs", "fuse.glancefs"], 20,
                     "the mount to appear")
        with take_keepers_socket(bed.daemon.pid) as daemon:
            check(answer_to(daemon, b"u") != b"", "it does not answer")
            equal(types_at(bed.mount_point), ["tmpfs"], "what is mounted")
            for order in (b"u", b"m", b"u"):
                equal(answer_to(daemon, order), b"", "what a further order gets")
        equal(types_at(bed.mount_point), ["tmpfs"], "what is mounted")
        equal(bed.wait_daemon(), 0, "the exit code")
        equal(types_at(bed.mount_point), ["tmpfs"], "what is mounted")
    finally:
        bed.run("umount", bed.mount_point)


# --- what is believed of who mounts ---

class Peer:
    """Listens where glancefs asks for its mount."""

    def __init__(self, bed: Bed):
        self.path = bed.tmp / "peer.socket"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(self.path))
        self.listener.listen(1)
        self.listener.settimeout(bed.seconds(20))

    def accept(self) -> socket.socket:
        connection, _ = self.listener.accept()
        equal(connection.recv(16), b"m", "what is asked")
        return connection

    def close(self) -> None:
        self.listener.close()


def answer_of(bed: Bed, fd: Optional[int], size: int) -> str:
    """What a mount says when it is answered with a descriptor and as many zeros."""
    peer = Peer(bed)
    command = [bed.program, "mount", "-f", "--cloud", bed.cloud.name, "--cache", bed.cache, peer.path]
    daemon = bed.start(*command)
    with peer.accept() as connection:
        rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                         array.array("i", [fd]))]
        connection.sendmsg([bytes(size)], rights)
        said = daemon.communicate(timeout=bed.seconds(20))[1].decode()
    peer.close()
    peer.path.unlink()
    check(daemon.returncode != 0, f"it serves, and says {said!r}")
    return said


def size_of_answer(bed: Bed) -> int:
    """Of a mounter of ours, which cannot mount."""
    listener, path = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET), bed.tmp / "size.socket"
    with listener, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
        listener.bind(str(path))
        listener.listen(1)
        mounter = start_mounter(bed, listener, bed.tmp / "nowhere")
        asking.connect(str(path))
        asking.send(b"m")
        size = len(asking.recv(65536))
        equal(mounter.wait(bed.seconds(20)), 3, "the mounter's exit code")
    return size


def start_mounter(bed: Bed, listener: socket.socket, place: Path) -> subprocess.Popen:
    """As systemd does."""
    script = 'exec 3<&"$1"; shift; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
    return bed.start("bash", "-c", script, "bash", listener.fileno(), bed.program, "attach", "--cloud",
                     bed.cloud.name, "--cache", bed.cache, place, pass_fds=[listener.fileno()])


@test
def only_the_kernels_device_is_taken_from_a_socket(bed):
    """Behind any other descriptor somebody could play the kernel, and ask in anybody's name."""
    size = size_of_answer(bed)
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with left, right, open("/dev/fuse", "rb+", buffering=0) as unmounted:
        check("is not /dev/fuse" in answer_of(bed, left.fileno(), size), "a socket")
        check("nothing is mounted" in answer_of(bed, unmounted.fileno(), size), "an unmounted device")
        check("no device came" in answer_of(bed, None, size), "no descriptor")
        check("has ended" in answer_of(bed, left.fileno(), size - 1), "a short answer")


@test
def a_mounter_whom_nobody_asks_mounts_nothing(bed):
    path = bed.tmp / "asked.socket"
    for word in (b"", b"x"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, \
                socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
            listener.bind(str(path))
            listener.listen(1)
            asking.connect(str(path))
            if word:
                asking.send(word)
            asking.shutdown(socket.SHUT_WR)
            mounter = start_mounter(bed, listener, bed.mount_point)
            said = mounter.communicate(timeout=bed.seconds(20))[1]
        equal(mounter.returncode, 2, "the mounter's exit code")
        check(b"nobody asked for a mount" in said, f"it says {said!r}")
        check(not bed.is_mounted(), "it is mounted")
        path.unlink()


# --- the start ---

@test
def closed_standard_descriptors_cost_nothing(bed):
    """What is opened then must not get their numbers."""
    image = bed.image(DATA)
    bed.run("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *bed.mount_command(foreground=False), limit=20)
    daemon = processes(bed)["glancefs"]
    for fd in range(3):
        equal(os.readlink(f"/proc/{daemon}/fd/{fd}"), "/dev/null", f"descriptor {fd}")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    os.kill(daemon, signal.SIGTERM)
    bed.wait_for(lambda: not processes(bed), 20, "daemon and keeper to end")
    check(not bed.is_mounted(), "it is still mounted")


@test
def output_that_is_closed_is_an_error(bed):
    answer = bed.run("sh", "-c", 'exec "$@" >&-', "sh", bed.program, "--version", code=1)
    check(b"standard output" in answer.stderr, f"it says {answer.stderr!r}")


@test
def a_daemon_that_is_killed_at_its_start_is_told(bed):
    peer = Peer(bed)
    starter = bed.start(bed.program, "mount", "--cloud", bed.cloud.name, "--cache", bed.cache, peer.path)
    with peer.accept():
        children = Path(f"/proc/{starter.pid}/task/{starter.pid}/children").read_text().split()
        equal(len(children), 1, f"daemons, of {children}")
        os.kill(int(children[0]), signal.SIGKILL)
        said = starter.communicate(timeout=bed.seconds(20))[1]
    peer.close()
    equal(starter.returncode, 1, "the exit code")
    check(b"SIGKILL" in said, f"it says {said!r}")


@test
def how_a_child_ended_is_known_whatever_the_parent_ignores(bed):
    command = [bed.program, "mount", "--cloud", "local:/nowhere", "--cache", bed.cache, bed.mount_point]
    answer = bed.run(*command, code=3,
                     preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    equal(answer.stderr.count(b"\n"), 1, f"lines of {answer.stderr!r}")


@test
def the_keeper_ends_with_the_daemon_where_close_range_is_missing(bed):
    """Filters of some containers do not know close_range(2)."""
    bed.mount(command=[sys.executable, "-c", WITHOUT_CLOSE_RANGE, *bed.mount_command()])
    bed.daemon.kill()
    bed.daemon.wait()
    bed.daemon = None
    bed.wait_for(lambda: not processes(bed), 10, "the keeper to end")
    bed.run("fusermount3", "-uz", bed.mount_point)


@test
def symbols_are_bound_at_the_start_whatever_the_environment_says(bed):
    bed.mount(command=["env", "LD_BIND_NOW=", *bed.mount_command()])
    words = Path(f"/proc/{bed.daemon.pid}/environ").read_bytes().split(b"\0")
    check(b"LD_BIND_NOW=1" in words, f"the environment is {words}")
