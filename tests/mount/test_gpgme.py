# SPDX-License-Identifier: Apache-2.0
"""Mounts whose messages GnuPG decrypts, and what is left of GnuPG afterwards."""
import errno
import os
import signal
import subprocess
from pathlib import Path
from typing import List

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
    check(not any(runtime.iterdir()), f"left in the runtime directory: {list(runtime.iterdir())}")


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


@test
def what_a_killed_daemon_leaves_of_gnupg_goes_at_the_next_start(bed):
    image = bed.image(DATA)
    runtime = mount(bed)
    stream = os.open(bed.view(image), os.O_RDONLY)
    os.read(stream, 1000)
    bed.daemon.send_signal(signal.SIGKILL)
    bed.wait_daemon()
    raises(errno.ENOTCONN, lambda: os.close(stream), "close")
    subprocess.run(["fusermount3", "-uz", str(bed.mount_point)], check=True)
    bed.wait_for(lambda: len(processes_of(runtime)) == 1, 10, "gpg to end by itself")
    left = processes_of(runtime)
    mount(bed)
    bed.wait_for(lambda: not set(left) & set(processes_of(runtime)), 10, "the old agent to end")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "the image")
    check(bed.stop() == 0, "the daemon did not end well")
    nothing_is_left(bed, runtime)
