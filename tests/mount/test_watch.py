# SPDX-License-Identifier: Apache-2.0
"""glancefs status for people: once and again, on a terminal and elsewhere."""
import os
import pty
import subprocess

from bed import check, equal
from messages import MIB, plaintext
from registry import test

DATA = plaintext(3 * MIB, seed=14)


def stalled_image(bed) -> str:
    """An image of which a download stops after a MiB, and a reader who waits for it."""
    image = bed.image(DATA)
    bed.cloud.write_record(image, {**bed.cloud.record(image), "glancefs_test_stop_at": MIB})
    bed.mount()
    bed.start("cat", bed.view(image))
    bed.wait_for(lambda: b"fetching  1\n" in bed.glancefs("status", bed.mount_point).stdout and
                 b"verifying 1\n" in bed.glancefs("status", bed.mount_point).stdout, 20, "a download")
    return image


def read_until(bed, fd: int, words: bytes, count: int) -> bytes:
    """What comes until it holds these words so often."""
    found = []

    def has_come():
        found.append(os.read(fd, 65536))
        return b"".join(found).count(words) >= count
    bed.wait_for(has_come, 20, f"{words!r} {count} times")
    return b"".join(found)


@test
def status_shows_no_bars_to_a_pipe(bed):
    image = stalled_image(bed)
    text = bed.glancefs("status", bed.mount_point).stdout.decode()
    check(f"  {image}   " in text and " % " in text, f"no row for the download: {text}")
    check("#" not in text and "\033" not in text, f"bars for a pipe: {text}")


@test
def watch_prints_lines_to_a_pipe(bed):
    image = stalled_image(bed)
    child = bed.start(bed.program, "status", "--watch=1", bed.mount_point, stdout=subprocess.PIPE)
    text = read_until(bed, child.stdout.fileno(), b"0 uploads\n", 2).decode()
    check(text.count(f"fetching {image} ") >= 2, f"no lines of the download: {text}")
    check(text.count(f"verifying {image} ") >= 2, f"no lines of the verification: {text}")
    check("#" not in text and "\033" not in text, f"bars for a pipe: {text}")
    child.kill()


@test
def watch_redraws_a_terminal(bed):
    image = stalled_image(bed)
    reader, terminal = pty.openpty()
    child = bed.start(bed.program, "status", "--watch", bed.mount_point, stdout=terminal)
    text = read_until(bed, reader, b"\033[H\033[J", 3).decode()
    rows = [line for line in text.splitlines() if line.startswith(f"  {image}  [")]
    check(len(rows) >= 4, f"no bars of the download and the verification: {text}")
    check("#" in rows[0] and "." in rows[0], f"no bar that is half full: {rows[0]}")
    child.kill()
    os.close(terminal)
    os.close(reader)


@test
def watch_ends_with_the_mount(bed):
    bed.mount()
    child = bed.start(bed.program, "status", "--watch", bed.mount_point, stdout=subprocess.PIPE)
    read_until(bed, child.stdout.fileno(), b"0 uploads\n", 1)
    equal(bed.stop(), 0, "the daemon's exit code")
    equal(child.wait(bed.seconds(20)), 3, "the exit code of status")


@test
def bad_arguments_of_status_are_refused(bed):
    for words in (["--watch=0"], ["--watch=x"], ["--watch=-1"], ["--watch=1h"], ["--watch=3601"],
                  ["--watch", "--json"]):
        bed.glancefs("status", *words, bed.mount_point, code=2)
    bed.glancefs("status", code=2)
