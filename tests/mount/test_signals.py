# SPDX-License-Identifier: Apache-2.0
"""A caller that waits in open(2) can be ended at once, and disturbs nobody while it waits."""
import errno
import json
import os
import signal
import statistics
import time

from bed import check, equal, raises, same_bytes
from messages import MIB, plaintext
from registry import add, test, test_with

DATA = plaintext(MIB + 3, seed=6)
FOREVER_MS = 60000
AT_ONCE = 0.25  # seconds


def slow_image(bed, delay_ms=FOREVER_MS, data=DATA):
    """An image whose key takes that long to arrive."""
    image = bed.image(data)
    key = bed.cloud.record(image)["os_encrypt_key_id"]
    set_secret(bed, key, glancefs_test_delay_ms=delay_ms)
    return image


def set_secret(bed, key, **fields):
    path = bed.cloud.path / "secrets" / f"{key}.json"
    record = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({k: v for k, v in record.items() if v is not None}))


def wait_until_blocked(bed, *children):
    """Until each child sleeps inside open(2): in state S or D, waiting for an answer of FUSE."""
    def is_blocked(child):
        with open(f"/proc/{child.pid}/wchan", encoding="ascii") as stream:
            where = stream.read()
        return "fuse" in where or "request_wait" in where
    bed.wait_for(lambda: all(is_blocked(child) for child in children), 20, "readers to block")


def signal_ends_a_blocked_open(number):
    def run(bed):
        view = bed.view(slow_image(bed))
        bed.mount()
        child = bed.start("cat", view)
        wait_until_blocked(bed, child)
        sent = time.monotonic()
        child.send_signal(number)
        child.wait(bed.seconds(20))
        equal(child.returncode, -number, "how cat ended")
        check(time.monotonic() - sent < bed.seconds(AT_ONCE),
              f"cat ended {time.monotonic() - sent:.3f} s after the signal")
    return run


for name in ("INT", "TERM", "KILL", "USR1"):
    add(f"sig{name.lower()}_ends_a_blocked_open_at_once",
        signal_ends_a_blocked_open(getattr(signal, f"SIG{name}")), alone=True)


class Interrupted(Exception):
    pass


@test_with(alone=True)
def a_caught_signal_ends_a_blocked_open(bed):
    view = bed.view(slow_image(bed))
    bed.mount()

    def stop(*_):
        raise Interrupted
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    started = time.monotonic()
    try:
        os.open(view, os.O_RDONLY)
        check(False, "open succeeded")
    except Interrupted:
        pass
    check(time.monotonic() - started < bed.seconds(0.5 + AT_ONCE), "the signal acted late")


@test
def a_killed_cp_leaves_no_target(bed):
    view = bed.view(slow_image(bed))
    bed.mount()
    child = bed.start("cp", view, bed.target / "copy")
    wait_until_blocked(bed, child)
    child.terminate()
    child.wait(bed.seconds(20))
    equal(os.listdir(bed.target), [], "the target directory")


@test
def after_an_interrupted_open_the_next_one_works(bed):
    image = slow_image(bed)
    bed.mount()
    child = bed.start("cat", bed.view(image))
    wait_until_blocked(bed, child)
    child.send_signal(signal.SIGINT)
    child.wait(bed.seconds(20))
    set_secret(bed, bed.cloud.record(image)["os_encrypt_key_id"], glancefs_test_delay_ms=None)
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


@test
def an_open_waits_for_a_slow_key_manager(bed):
    view = bed.view(slow_image(bed, delay_ms=700))
    bed.mount()
    same_bytes(bed.run("cat", view).stdout, DATA, "cat's output")


@test
def when_the_first_of_two_waiters_is_killed_the_second_is_served(bed):
    image = slow_image(bed, delay_ms=1500)
    bed.mount()
    first = bed.start("cat", bed.view(image))
    wait_until_blocked(bed, first)
    second = bed.start("cp", bed.view(image), bed.target / "copy")
    wait_until_blocked(bed, second)
    first.kill()
    first.wait(bed.seconds(20))
    equal(second.wait(bed.seconds(30)), 0, "the second reader's exit code")
    same_bytes((bed.target / "copy").read_bytes(), DATA, "the copy")


@test
def when_the_first_of_two_waits_for_one_download_is_killed_the_second_is_served(bed):
    image = bed.image(DATA, glancefs_test_delay_ms=800)
    bed.mount()
    first = bed.start("cat", bed.view(image))
    second = bed.start("cp", bed.view(image), bed.target / "copy")
    wait_until_blocked(bed, first, second)
    time.sleep(1.2)
    first.kill()
    first.wait(bed.seconds(20))
    equal(second.wait(bed.seconds(30)), 0, "the second reader's exit code")
    same_bytes((bed.target / "copy").read_bytes(), DATA, "the copy")


@test
def eight_waiters_of_one_image_are_all_served(bed):
    image = slow_image(bed, delay_ms=500)
    bed.mount()
    children = [bed.start("cp", bed.view(image), bed.target / f"copy{n}") for n in range(8)]
    for n, child in enumerate(children):
        equal(child.wait(bed.seconds(30)), 0, "a reader's exit code")
        same_bytes((bed.target / f"copy{n}").read_bytes(), DATA, "a copy")


def stalled_readers(bed, count):
    """`count` readers of as many images, all waiting for their keys."""
    images = [slow_image(bed, data=plaintext(1000, seed=n)) for n in range(count)]
    good = bed.image(DATA)
    bed.mount("-o", "max_streams=64")
    same_bytes(bed.run("cat", bed.view(good)).stdout, DATA, "cat's output")
    children = [bed.start("cat", bed.view(image)) for image in images]
    wait_until_blocked(bed, *children)
    return good, children


@test_with(alone=True)
def stat_answers_while_40_opens_are_stalled(bed):
    good, _ = stalled_readers(bed, 40)
    times = []
    for _ in range(300):
        started = time.monotonic()
        os.stat(bed.view(good))
        times.append(time.monotonic() - started)
    p99 = statistics.quantiles(times, n=100)[98]
    check(p99 < bed.seconds(0.02), f"the 99th percentile of stat is {p99 * 1000:.1f} ms")


@test_with(alone=True)
def ls_and_a_read_work_while_40_opens_are_stalled(bed):
    good, children = stalled_readers(bed, 40)
    started = time.monotonic()
    equal(len(os.listdir(bed.mount_point / "decrypt")), 41, "images listed")
    same_bytes(bed.run("cat", bed.view(good)).stdout, DATA, "cat's output")
    bed.run("cat", bed.mount_point / "status")
    taken = time.monotonic() - started
    check(taken < bed.seconds(1), f"ls, a read and the status took {taken:.2f} s")
    check(all(child.poll() is None for child in children), "a stalled reader ended")


@test_with(alone=True)
def sigint_ends_40_stalled_opens_at_once(bed):
    _, children = stalled_readers(bed, 40)
    started = time.monotonic()
    for child in children:
        child.send_signal(signal.SIGINT)
    for child in children:
        equal(child.wait(bed.seconds(20)), -signal.SIGINT, "how a reader ended")
    taken = time.monotonic() - started
    check(taken < bed.seconds(0.5), f"40 readers took {taken:.2f} s to end")


@test
def a_slow_image_service_delays_only_its_image(bed):
    slow = bed.image(DATA, glancefs_test_delay_ms=FOREVER_MS)
    good = bed.image(DATA)
    bed.mount()
    child = bed.start("stat", bed.view(slow))
    wait_until_blocked(bed, child)
    same_bytes(bed.run("cat", bed.view(good), limit=10).stdout, DATA, "cat's output")
    child.send_signal(signal.SIGINT)
    equal(child.wait(bed.seconds(20)), -signal.SIGINT, "how stat ended")


@test
def a_service_that_answers_503_is_an_error_not_a_hang(bed):
    image = bed.image(DATA)
    set_secret(bed, bed.cloud.record(image)["os_encrypt_key_id"], glancefs_test_status=503)
    bed.mount()
    raises(errno.EIO, lambda: os.open(bed.view(image), os.O_RDONLY), "open")
