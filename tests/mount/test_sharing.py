# SPDX-License-Identifier: Apache-2.0
"""Each open is one pass of its own; dup and fork share it; many readers do not disturb each other."""
import errno
import hashlib
import os
import threading
import time

from bed import check, equal, read_all, same_bytes
from messages import KIB, MIB, compressible, plaintext
from registry import test

SIZE = 3 * MIB + 5
DATA = plaintext(SIZE, seed=3)


def mounted_view(bed, data=DATA, *options):
    image = bed.image(data, *options)
    bed.mount()
    return bed.view(image)


@test
def two_opens_have_positions_of_their_own(bed):
    view = mounted_view(bed)
    first, second = os.open(view, os.O_RDONLY), os.open(view, os.O_RDONLY)
    a = os.read(first, 70000)
    b = os.read(second, 10)
    a += os.read(first, MIB)
    b += read_all(second, 9999)
    a += read_all(first)
    same_bytes(a, DATA, "the first reader")
    same_bytes(b, DATA, "the second reader")
    os.close(first)
    os.close(second)


def read_slowly(view, step, pause, results, index):
    digest = hashlib.sha256()
    with open(view, "rb", buffering=0) as stream:
        while True:
            part = stream.read(step)
            if not part:
                break
            digest.update(part)
            time.sleep(pause)
    results[index] = digest.hexdigest()


def readers_all_get_it_right(bed, view, data, plans):
    results = [None] * len(plans)
    threads = [threading.Thread(target=read_slowly, args=(view, step, pause, results, index))
               for index, (step, pause) in enumerate(plans)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(bed.seconds(50))
    equal(results, [hashlib.sha256(data).hexdigest()] * len(plans), "the readers' sums")


@test
def two_readers_at_different_speeds_get_it_right(bed):
    readers_all_get_it_right(bed, mounted_view(bed), DATA, [(MIB, 0), (50 * KIB, 0.01)])


@test
def eight_readers_at_different_speeds_get_it_right(bed):
    readers_all_get_it_right(bed, mounted_view(bed), DATA,
                             [((n + 1) * 33333, 0.002 * n) for n in range(8)])


@test
def eight_readers_of_a_compressed_image_get_it_right(bed):
    data = compressible(SIZE)
    readers_all_get_it_right(bed, mounted_view(bed, data, "-z6"), data,
                             [((n + 1) * 33333, 0.002 * n) for n in range(8)])


@test
def readers_of_eight_images_get_it_right(bed):
    images = [(bed.image(data), data) for data in (plaintext(MIB + n, seed=n) for n in range(8))]
    bed.mount()
    children = [bed.start("sha256sum", bed.view(image), stdout=-1) for image, _ in images]
    for child, (_, data) in zip(children, images):
        output, _ = child.communicate(timeout=bed.seconds(30))
        equal(output.split()[0].decode(), hashlib.sha256(data).hexdigest(), "the sum")


@test
def a_dup_shares_the_position(bed):
    fd = os.open(mounted_view(bed), os.O_RDONLY)
    other = os.dup(fd)
    parts = []
    for turn in range(10):
        parts.append(os.read(fd if turn % 2 else other, 12345))
    os.close(other)
    same_bytes(b"".join(parts) + read_all(fd), DATA, "the bytes of both")
    os.close(fd)


@test
def closing_a_dup_early_harms_nothing(bed):
    fd = os.open(mounted_view(bed), os.O_RDONLY)
    os.close(os.dup(fd))
    same_bytes(read_all(fd), DATA, "the bytes")
    os.close(fd)


@test
def a_forked_child_shares_the_position(bed):
    fd = os.open(mounted_view(bed), os.O_RDONLY)
    head = os.read(fd, MIB + 1)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        with os.fdopen(writer, "wb") as stream:
            stream.write(os.read(fd, 40000))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        middle = stream.read()
    os.waitpid(child, 0)
    equal(len(middle), 40000, "what the child read")
    same_bytes(head + middle + read_all(fd), DATA, "the bytes of both")
    os.close(fd)


@test
def commands_of_one_shell_share_a_redirection(bed):
    view = mounted_view(bed)
    answer = bed.run("sh", "-c", f"(head -c 65536 >/dev/null; cat) < {view} | wc -c")
    check(int(answer.stdout) <= SIZE - 65536, f"both saw the same bytes: {answer.stdout!r}")


@test
def a_hundred_opens_one_after_the_other_all_work(bed):
    view = mounted_view(bed, DATA[:1000])
    for _ in range(100):
        same_bytes(view.read_bytes(), DATA[:1000], "the bytes")


@test
def opens_over_max_streams_are_refused_and_later_ones_work(bed):
    image = bed.image(DATA)
    bed.mount("-o", "max_streams=3")
    fds, refusals = [], []
    for _ in range(6):
        try:
            fds.append(os.open(bed.view(image), os.O_RDONLY))
        except OSError as error:
            refusals.append(error)
    equal(len(fds), 3, "opens that were let in")
    for refusal in refusals:
        equal(refusal.errno, errno.EMFILE, "the refusal")
    for fd in fds:
        same_bytes(read_all(fd), DATA, "a stream that was let in")
        os.close(fd)

    def opens_again():
        try:
            os.close(os.open(bed.view(image), os.O_RDONLY))
            return True
        except OSError:
            return False
    # RELEASE is asynchronous: the place becomes free a moment after close.
    bed.wait_for(opens_again, 5, "a free place")
