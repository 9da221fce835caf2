# SPDX-License-Identifier: Apache-2.0
"""The limits of a mount: downloads and uploads wait for their turn, what cannot wait is refused with
EMFILE or EAGAIN, and the log names the option and its value."""
import errno
import json
import os
import signal
import time

from bed import check, equal, raises, read_all, same_bytes
from messages import KIB, MIB, plaintext
from registry import add, test
from test_audit import lines_of
from write_bed import becomes_active, part_of, queued, seal_by_attribute, set_record

SIZE = 2 * MIB
HANGS_MS = 3_600_000


def data_of(number: int) -> bytes:
    return plaintext(SIZE + number, seed=120 + number)


def stopped(bed, *numbers: int) -> list:
    """Images whose downloads do not get beyond their first bytes."""
    return [bed.image(data_of(number), glancefs_test_stop_at=100 * KIB) for number in numbers]


def let_go(bed, image: str) -> None:
    set_record(bed, image, glancefs_test_stop_at=None)


def limits_of(bed, resource: str) -> dict:
    return json.loads((bed.mount_point / "status").read_text())["limits"][resource]


def wait_for_use(bed, resource: str, used: int, waiting: int) -> None:
    def is_so():
        limits = limits_of(bed, resource)
        return (limits["used"], limits["waiting"]) == (used, waiting)
    bed.wait_for(is_so, 20, f"{used} {resource} under way and {waiting} in line")


def reader_of(bed, image: str, number: int):
    """A copy in the making, as the nth download that is asked for."""
    return bed.start("cp", bed.view(image), bed.target / str(number))


def copied(bed, child, number: int) -> None:
    equal(child.wait(bed.seconds(30)), 0, f"how reader {number} ended")
    same_bytes((bed.target / str(number)).read_bytes(), data_of(number), f"what reader {number} has")


def says(bed, *words: str) -> None:
    """One line of the log holds all of them."""
    check(any(all(word in line for word in words) for line in bed.log_text().splitlines()),
          f"no line of the log has {words}: {bed.log_text()!r}")


def result_of_last_open(bed, image: str) -> str:
    return [line for line in lines_of(bed) if line["image"] == image][-1]["result"]


# --- downloads ---

def downloads_beyond_the_limit_wait_in_order(bed, *options):
    cached = bed.image(data_of(9))
    images = stopped(bed, 0, 1, 2)
    bed.mount("-o", ",".join(("max_downloads=1", *options)))
    same_bytes(bed.view(cached).read_bytes(), data_of(9), "the image to be cached")
    children = []
    for number, image in enumerate(images):
        children.append(reader_of(bed, image, number))
        wait_for_use(bed, "downloads", 1, number)
    equal(limits_of(bed, "downloads")["limit"], 1, "the limit")
    started = time.monotonic()
    same_bytes(bed.view(cached).read_bytes(), data_of(9), "the cached image")
    check(time.monotonic() - started < bed.seconds(1), "a cached image was held up")
    for number, image in enumerate(images):
        let_go(bed, image)
        copied(bed, children[number], number)
        wait_for_use(bed, "downloads", min(1, 2 - number), max(0, 1 - number))


def a_download_without_a_turn_is_refused_in_time(bed, *options):
    first, second = stopped(bed, 0, 1)
    bed.mount("-o", ",".join(("max_downloads=1", "request_timeout=1", *options)))
    child = reader_of(bed, first, 0)
    wait_for_use(bed, "downloads", 1, 0)
    started = time.monotonic()
    raises(errno.EAGAIN, lambda: read_view(bed, second), "open without a turn")
    taken = time.monotonic() - started
    check(1 <= taken < bed.seconds(4), f"the refusal took {taken:.2f} s")
    says(bed, second, "max_downloads=1", "EAGAIN")
    equal(result_of_last_open(bed, second), "EAGAIN", "the audit's result")
    equal([path.name for path in (bed.cache / "partial").iterdir() if second in path.name], [],
          "what is left of a download that never began")
    let_go(bed, second)
    let_go(bed, first)
    copied(bed, child, 0)
    same_bytes(read_view(bed, second), data_of(1), "the image that was refused")


def read_view(bed, image: str) -> bytes:
    return bed.view(image).read_bytes()


def who_is_interrupted_in_line_leaves_it(bed, *options):
    images = stopped(bed, 0, 1, 2)
    bed.mount("-o", ",".join(("max_downloads=1", *options)))
    children = []
    for number, image in enumerate(images):
        children.append(reader_of(bed, image, number))
        wait_for_use(bed, "downloads", 1, number)
    children[1].send_signal(signal.SIGINT)
    started = time.monotonic()
    equal(children[1].wait(bed.seconds(20)), -signal.SIGINT, "how the reader ended")
    check(time.monotonic() - started < bed.seconds(1), "it took long")
    wait_for_use(bed, "downloads", 1, 1)
    for number in (0, 2):
        let_go(bed, images[number])
        copied(bed, children[number], number)


def readers_of_one_image_share_a_turn(bed, *options):
    image, = stopped(bed, 0)
    bed.mount("-o", ",".join(("max_downloads=1", "request_timeout=1", *options)))
    children = [reader_of(bed, image, 0)]
    wait_for_use(bed, "downloads", 1, 0)
    children += [bed.start("cat", bed.view(image)) for _ in range(3)]
    time.sleep(bed.seconds(1.5))
    equal([child.poll() for child in children], [None] * 4, "how the readers ended")
    equal(limits_of(bed, "downloads"), {"limit": 1, "used": 1, "waiting": 0}, "the use")
    let_go(bed, image)
    copied(bed, children[0], 0)
    equal([child.wait(bed.seconds(20)) for child in children], [0] * 4, "how the readers ended")


def a_download_that_fails_ends_its_turn(bed, *options):
    bad, good = stopped(bed, 0, 1)
    bed.mount("-o", ",".join(("max_downloads=1", *options)))
    children = [reader_of(bed, bad, 0)]
    wait_for_use(bed, "downloads", 1, 0)
    children.append(reader_of(bed, good, 1))
    wait_for_use(bed, "downloads", 1, 1)
    stored = bytearray(bed.cloud.data(bad).read_bytes())
    stored[-1] ^= 1
    bed.cloud.data(bad).write_bytes(stored)
    let_go(bed, good)
    let_go(bed, bad)
    equal(children[0].wait(bed.seconds(20)), 1, "how the reader of the bad image ended")
    copied(bed, children[1], 1)
    wait_for_use(bed, "downloads", 0, 0)


def a_daemon_ends_with_downloads_in_line(bed, *options):
    images = stopped(bed, 0, 1, 2)
    bed.mount("-o", ",".join(("max_downloads=1", *options)))
    children = []
    for number, image in enumerate(images):
        children.append(reader_of(bed, image, number))
        wait_for_use(bed, "downloads", 1, number)
    bed.run("fusermount3", "-uz", bed.mount_point)
    bed.daemon.send_signal(signal.SIGTERM)
    bed.daemon.send_signal(signal.SIGTERM)
    equal(bed.wait_daemon(), 0, "the daemon's exit code")
    for child in children:
        check(child.wait(bed.seconds(20)) != 0, "a reader ended well")


for download_test in (downloads_beyond_the_limit_wait_in_order,
                      a_download_without_a_turn_is_refused_in_time,
                      who_is_interrupted_in_line_leaves_it, readers_of_one_image_share_a_turn,
                      a_download_that_fails_ends_its_turn, a_daemon_ends_with_downloads_in_line):
    add(download_test.__name__, download_test)
    add(f"arriving_{download_test.__name__}",
        lambda bed, function=download_test: function(bed, "verify=stream"))


# --- uploads ---

@test
def uploads_beyond_the_limit_wait_sealed(bed):
    images = [queued(bed) for _ in range(3)]
    bed.mount("-o", "max_uploads=1")
    for number, image in enumerate(images):
        part_of(bed, image).write_bytes(data_of(number))
        set_record(bed, image, glancefs_test_delay_ms=HANGS_MS)
        seal_by_attribute(bed, image)
    wait_for_use(bed, "uploads", 1, 2)
    status = json.loads((bed.mount_point / "status").read_text())
    states = sorted(upload["state"] for upload in status["uploads"])
    equal(states.count("sealed") + states.count("uploading"), 3, f"uploads in line: {states}")
    check(states.count("sealed") >= 2, f"the states are {states}")
    equal(bed.stop(), 0, "the daemon's exit code")
    for image in images:
        set_record(bed, image, glancefs_test_delay_ms=None)
    bed.mount("-o", "max_uploads=2")
    for number, image in enumerate(images):
        becomes_active(bed, image, data_of(number))


# --- streams ---

@test
def files_to_read_and_to_write_share_max_streams(bed):
    image, written, other = bed.image(data_of(0)), queued(bed), queued(bed)
    bed.mount("-o", "max_streams=2")
    reader = os.open(bed.view(image), os.O_RDONLY)
    writer = os.open(part_of(bed, written), os.O_WRONLY | os.O_CREAT, 0o600)
    equal(limits_of(bed, "streams"), {"limit": 2, "used": 2}, "the use")
    raises(errno.EMFILE, lambda: os.open(bed.view(image), os.O_RDONLY), "open to read")
    says(bed, f"image {image}", "max_streams=2", "EMFILE")
    equal(result_of_last_open(bed, image), "EMFILE", "the audit's result")
    raises(errno.EMFILE, lambda: os.open(part_of(bed, other), os.O_WRONLY | os.O_CREAT, 0o600),
           "open to write")
    says(bed, f"encrypt/{other}.part", "max_streams=2", "EMFILE")
    equal(result_of_last_open(bed, other), "EMFILE", "the audit's result")
    same_bytes(read_all(reader), data_of(0), "a stream that was let in")
    os.write(writer, data_of(1))
    os.close(reader)
    os.close(writer)
    bed.wait_for(lambda: limits_of(bed, "streams")["used"] == 0, 20, "both places")
    part_of(bed, other).write_bytes(data_of(2))
    same_bytes(bed.view(image).read_bytes(), data_of(0), "the image")


# --- memory ---

def fill_memory(bed, writers: list) -> None:
    """Writers take windows until there is no room for one more."""
    for _ in range(64):
        image = queued(bed)
        try:
            writers.append(os.open(part_of(bed, image), os.O_WRONLY | os.O_CREAT, 0o600))
        except OSError as refusal:
            equal(refusal.errno, errno.EAGAIN, "the refusal of a writer")
            says(bed, f"encrypt/{image}.part", "max_memory", "16 MiB", "EAGAIN")
            equal(result_of_last_open(bed, image), "EAGAIN", "the audit's result")
            return
    check(False, "memory for 64 writers in 16 MiB")


@test
def opens_and_reads_without_memory_are_refused(bed):
    """Of compressed images: reading them takes the most memory, opening one by bzip2, too."""
    image = bed.image(data_of(0), "--compress-algo", "zip")
    other = bed.image(data_of(1), "--compress-algo", "bzip2")
    bed.mount("-o", "max_memory=16M,write_window=1M")
    held = os.open(bed.view(image), os.O_RDONLY)
    writers = []
    fill_memory(bed, writers)
    raises(errno.EAGAIN, lambda: os.read(held, MIB), "a read")
    says(bed, "read by", image, "max_memory", "16 MiB", "EAGAIN")
    raises(errno.EAGAIN, lambda: os.open(bed.view(other), os.O_RDONLY), "an open")
    says(bed, "open by", other, "max_memory", "EAGAIN")
    equal(result_of_last_open(bed, other), "EAGAIN", "the audit's result")
    for fd in writers:
        os.close(fd)
    for path in (bed.mount_point / "encrypt").glob("*.part"):
        path.unlink()
    same_bytes(read_all(held), data_of(0), "the stream that had no memory for a while")
    os.close(held)
    same_bytes(bed.view(other).read_bytes(), data_of(1), "the image that was refused")
