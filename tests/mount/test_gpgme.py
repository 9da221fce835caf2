# SPDX-License-Identifier: Apache-2.0
"""Mounts whose messages GnuPG decrypts, and what is left of GnuPG afterwards."""
import errno
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Dict, List

from bed import Failure, check, raises, same_bytes
from messages import MIB, flip, plaintext
from registry import test

SIZE = 3 * MIB + 5
DATA = plaintext(SIZE, seed=8)


def mount(bed) -> Path:
    """Mounts with the second engine; returns its runtime directory."""
    runtime = bed.tmp / "run"
    bed.mount("-o", f"engine=gpgme,runtime={runtime}")
    return runtime


def processes_of(folder: Path) -> List[int]:
    """gpg and gpg-agent with a home in the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text().startswith("gpg"):
                texts = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                if bytes(folder) in texts:
                    found.append(int(entry.name))
        except OSError:
            continue
    return found


def nothing_is_left(bed, runtime: Path) -> None:
    bed.wait_for(lambda: not processes_of(runtime), 10, "gpg and its agent to end")
    bed.wait_for(lambda: not any(runtime.iterdir()), 10, f"{runtime} to be empty")


@test
def gnupg_reads_images_and_refuses_damaged_ones(bed):
    image, damaged = bed.image(DATA), bed.image(DATA)
    stored = bed.cloud.data(damaged).read_bytes()
    bed.cloud.data(damaged).write_bytes(flip(stored, len(stored) // 2))
    runtime = mount(bed)
    for _ in range(2):
        same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "the image")
    try:
        os.close(os.open(bed.view(damaged), os.O_RDONLY))
        raise Failure("a damaged image was opened")
    except OSError as refusal:
        check(refusal.errno == errno.EBADMSG, f"a damaged image gives {refusal}")
    check(bed.stop() == 0, "the daemon did not end well")
    nothing_is_left(bed, runtime)


@test
def gnupg_waits_while_nobody_reads_and_goes_with_the_stream(bed):
    image = bed.image(DATA)
    runtime = mount(bed)
    stream = os.open(bed.view(image), os.O_RDONLY)
    same_bytes(os.read(stream, 1000), DATA[:1000], "the beginning")
    check(len(processes_of(runtime)) == 2, "gpg and its agent are not there")
    os.close(stream)
    bed.wait_for(lambda: len(processes_of(runtime)) == 1, 10, "gpg to end")
    check(bed.stop() == 0, "the daemon did not end well")
    nothing_is_left(bed, runtime)


def helpers_of(bed) -> Dict[str, int]:
    """The processes that run gpg for the daemon of this test, by their names."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and bytes(bed.tmp) in (entry / "cmdline").read_bytes():
                found[(entry / "comm").read_text().strip()] = int(entry.name)
        except OSError:
            continue
    return {name: pid for name, pid in found.items()
            if name in ("glancefs-warden", "glancefs-gpg", "glancefs-gpg-op")}


def has_helper(bed, state: str) -> None:
    found = json.loads((bed.mount_point / "status").read_text())["sandbox"]["gpg_helper"]
    check(found == state, f"status says of the helper: {found}")


def open_stream(bed, image: str) -> int:
    stream = os.open(bed.view(image), os.O_RDONLY)
    same_bytes(os.read(stream, 1000), DATA[:1000], "the beginning")
    return stream


def rest_fails(stream: int) -> None:
    """What gpg was ahead may still come."""
    def read_rest():
        while os.read(stream, MIB):
            pass
    raises(errno.EIO, read_rest, "reading on")
    raises(errno.EIO, lambda: os.close(stream), "close")


def leave_dead_mount(bed, stream: int) -> None:
    bed.daemon.send_signal(signal.SIGKILL)
    bed.wait_daemon()
    raises(errno.ENOTCONN, lambda: os.close(stream), "close")
    subprocess.run(["fusermount3", "-uz", str(bed.mount_point)], check=True)


@test
def a_killed_daemon_leaves_nothing_of_gnupg(bed):
    image = bed.image(DATA)
    runtime = mount(bed)
    leave_dead_mount(bed, open_stream(bed, image))
    nothing_is_left(bed, runtime)


@test
def what_killed_processes_leave_of_gnupg_goes_at_the_next_start(bed):
    image = bed.image(DATA)
    runtime = mount(bed)
    stream = open_stream(bed, image)
    for name in ("glancefs-warden", "glancefs-gpg"):
        os.kill(helpers_of(bed)[name], signal.SIGKILL)
    leave_dead_mount(bed, stream)
    bed.wait_for(lambda: len(processes_of(runtime)) == 1, 10, "gpg to end by itself")
    left = processes_of(runtime)
    mount(bed)
    bed.wait_for(lambda: not set(left) & set(processes_of(runtime)), 10, "the old agent to end")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "the image")
    check(bed.stop() == 0, "the daemon did not end well")
    nothing_is_left(bed, runtime)


@test
def the_daemon_outlives_the_process_that_runs_gpg(bed):
    image, other = bed.image(DATA), bed.image(DATA)
    runtime = mount(bed)
    has_helper(bed, "running")
    stream = open_stream(bed, image)
    os.kill(helpers_of(bed)["glancefs-gpg"], signal.SIGKILL)
    nothing_is_left(bed, runtime)
    rest_fails(stream)
    has_helper(bed, "ended")
    bed.refused(other, errno.EIO, "the process that runs gpg has ended")
    bed.wait_for(lambda: not helpers_of(bed), 10, "the warden to end")
    check(bed.stop() == 0, "the daemon did not end well")


@test
def a_killed_operation_fails_and_no_other(bed):
    image = bed.image(DATA)
    runtime = mount(bed)
    stream = open_stream(bed, image)
    os.kill(helpers_of(bed)["glancefs-gpg-op"], signal.SIGKILL)
    bed.wait_for(lambda: len(processes_of(runtime)) == 1, 10, "gpg to end")
    rest_fails(stream)
    has_helper(bed, "running")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "the image")
    check(bed.stop() == 0, "the daemon did not end well")
    nothing_is_left(bed, runtime)


@test
def a_killed_warden_is_done_without(bed):
    image = bed.image(DATA)
    runtime = mount(bed)
    os.kill(helpers_of(bed)["glancefs-warden"], signal.SIGKILL)
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "the image")
    has_helper(bed, "running")
    check(bed.stop() == 0, "the daemon did not end well")
    bed.wait_for(lambda: not helpers_of(bed), 10, "the helper to end")
    nothing_is_left(bed, runtime)


@test
def an_unmount_ends_what_gnupg_has_in_hand(bed):
    image = bed.image(DATA)
    runtime = mount(bed)
    stream = open_stream(bed, image)
    check(bed.stop() == 0, "the daemon did not end well")
    check(not helpers_of(bed), f"there are still {helpers_of(bed)}")
    nothing_is_left(bed, runtime)
    raises(errno.ENOTCONN, lambda: os.close(stream), "close")


@test
def an_interrupted_reader_takes_its_gpg_along(bed):
    """The agent is stopped, so that gpg waits for ever."""
    image, other = bed.image(DATA), bed.image(DATA)
    runtime = mount(bed)
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "the image")
    bed.wait_for(lambda: len(processes_of(runtime)) == 1, 10, "gpg to end")
    agent, = processes_of(runtime)
    os.kill(agent, signal.SIGSTOP)
    try:
        reader = bed.start("cat", bed.view(other))
        bed.wait_for(lambda: len(processes_of(runtime)) == 2, 10, "gpg to start")
        reader.send_signal(signal.SIGINT)
        check(reader.wait(bed.seconds(5)) == -signal.SIGINT, "cat ended in another way")
        bed.wait_for(lambda: processes_of(runtime) == [agent], 10, "gpg to end")
        check("glancefs-gpg-op" not in helpers_of(bed), "its process is still there")
    finally:
        os.kill(agent, signal.SIGCONT)
    same_bytes(bed.run("cat", bed.view(other)).stdout, DATA, "the other image")
    check(bed.stop() == 0, "the daemon did not end well")
    nothing_is_left(bed, runtime)
