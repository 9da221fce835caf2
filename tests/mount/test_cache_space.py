# SPDX-License-Identifier: Apache-2.0
"""The limits of the cache, and a disk that is too small: who has no room is told so, and nothing else happens."""
import contextlib
import errno
import os
import subprocess
import time

from bed import check, equal, raises, same_bytes
from messages import KIB, MIB, plaintext
from registry import test

SIZE = 2 * MIB
DISK = 5 * MIB


@contextlib.contextmanager
def small_disk(bed, size=DISK):
    """The cache lies on a filesystem of its own."""
    bed.cache.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(bed.cache)], check=True)
    try:
        yield
    finally:
        if bed.daemon is not None:
            bed.stop()
        subprocess.run(["umount", "--lazy", str(bed.cache)], check=True)


def images_of(bed, count, size=SIZE):
    data = [plaintext(size, 20 + seed) for seed in range(count)]
    return [(bed.image(bytes_of), bytes_of) for bytes_of in data]


def reads(bed, image, data):
    same_bytes(bed.run("cat", bed.view(image)).stdout, data, f"image {image}")


def cached(bed):
    return sorted(path.name[:36] for path in (bed.cache / "objects").iterdir())


def left_over(bed):
    return [path for place in ("partial", "trash") for path in (bed.cache / place).glob("*")]


def was_used(bed, image, seconds_ago):
    [metadata] = bed.cache.glob(f"objects/{image}*/meta.json")
    then = time.time() - seconds_ago
    os.utime(metadata, (then, then))


@test
def the_image_that_was_not_used_for_longest_makes_room(bed):
    (one, one_data), (two, two_data), (three, three_data) = images_of(bed, 3)
    bed.mount("-o", f"max_size={2 * SIZE + SIZE // 2},min_free=0")
    reads(bed, one, one_data)
    reads(bed, two, two_data)
    was_used(bed, one, 200)
    was_used(bed, two, 100)
    reads(bed, one, one_data)
    reads(bed, three, three_data)
    equal(cached(bed), sorted([one, three]), "what is cached")
    reads(bed, two, two_data)


@test
def an_open_image_is_never_evicted(bed):
    (one, one_data), (two, two_data) = images_of(bed, 2)
    bed.mount("-o", f"max_size={SIZE + SIZE // 2},min_free=0")
    with open(bed.view(one), "rb", buffering=0) as held:
        raises(errno.ENOSPC, lambda: os.close(os.open(bed.view(two), os.O_RDONLY)), "an open without room")
        equal(cached(bed), [one], "what is cached")
        equal(left_over(bed), [], "what the refused download left")
        same_bytes(b"".join(iter(lambda: held.read(MIB), b"")), one_data, "the open image")
    reads(bed, two, two_data)
    equal(cached(bed), [two], "what is cached")


@test
def an_image_over_max_size_is_refused_and_evicts_nothing(bed):
    [(small, small_data)] = images_of(bed, 1, 500 * KIB)
    [(large, _)] = images_of(bed, 1, 3 * MIB)
    bed.mount("-o", f"max_size={2 * MIB},min_free=0")
    reads(bed, small, small_data)
    bed.refused(large, errno.ENOSPC, "max_size")
    equal(cached(bed), [small], "what is cached")


@test
def a_disk_without_room_gives_enospc_and_serves_on(bed):
    with small_disk(bed):
        (one, one_data), (two, two_data), (three, three_data) = images_of(bed, 3)
        bed.mount("-o", "min_free=0")
        held = [open(bed.view(image), "rb", buffering=0) for image in (one, two)]
        bed.refused(three, errno.ENOSPC)
        for handle, data in zip(held, (one_data, two_data)):
            same_bytes(b"".join(iter(lambda handle=handle: handle.read(MIB), b"")), data, "an open image")
            handle.close()
        reads(bed, three, three_data)
        reads(bed, one, one_data)
        equal(left_over(bed), [], "left-overs")


@test
def others_who_fill_the_disk_make_images_go(bed):
    with small_disk(bed):
        (one, one_data), (two, two_data) = images_of(bed, 2)
        bed.mount("-o", "min_free=0")
        reads(bed, one, one_data)
        (bed.cache / "somebody-elses").write_bytes(bytes(DISK - SIZE - SIZE // 2))
        reads(bed, two, two_data)
        equal(cached(bed), [two], "what is cached")


@test
def a_disk_that_others_fill_during_the_download_makes_images_go(bed):
    with small_disk(bed):
        (one, one_data), (two, two_data) = images_of(bed, 2)
        bed.mount("-o", "min_free=0")
        reads(bed, one, one_data)
        record = bed.cloud.record(two)
        bed.cloud.write_record(two, {**record, "glancefs_test_stop_at": MIB})
        reader = bed.start("cat", bed.view(two), stdout=subprocess.PIPE)
        bed.wait_for(lambda: any(path.stat().st_size >= MIB for path in bed.cache.glob("partial/*/data")), 10,
                     "half of the image")
        with contextlib.suppress(OSError), open(bed.cache / "somebody-elses", "wb", buffering=0) as file:
            while True:
                file.write(bytes(4 * KIB))
        bed.cloud.write_record(two, record)
        same_bytes(reader.communicate(timeout=bed.seconds(30))[0], two_data, "the reader's image")


@test
def min_free_is_kept_free(bed):
    with small_disk(bed):
        (one, one_data), (two, two_data) = images_of(bed, 2)
        bed.mount("-o", f"min_free={2 * MIB}")
        reads(bed, one, one_data)
        reads(bed, two, two_data)
        equal(cached(bed), [two], "what is cached")
        space = os.statvfs(bed.cache)
        check(space.f_bavail * space.f_frsize >= 2 * MIB, "min_free was taken")


@test
def ten_downloads_together_never_pass_max_size(bed):
    images = images_of(bed, 10)
    limit = 4 * SIZE + SIZE // 2
    for image, _ in images:
        bed.cloud.write_record(image, {**bed.cloud.record(image), "glancefs_test_stop_at": MIB})
    bed.mount("-o", f"max_size={limit},min_free=0")
    readers = [bed.start("cat", bed.view(image), stdout=subprocess.PIPE) for image, _ in images]
    bed.wait_for(lambda: sum(reader.poll() is not None for reader in readers) >= 6, 20, "six refusals")
    taken = sum(path.stat().st_blocks * 512 for path in bed.cache.rglob("data"))
    check(taken <= limit, f"{taken} bytes are taken, max_size is {limit}")
    for image, _ in images:
        record = bed.cloud.record(image)
        record.pop("glancefs_test_stop_at")
        bed.cloud.write_record(image, record)
    results = [reader.communicate(timeout=bed.seconds(30)) for reader in readers]
    served = 0
    for (image, data), reader, (output, errors) in zip(images, readers, results):
        if reader.returncode == 0:
            same_bytes(output, data, f"image {image}")
            served += 1
        else:
            check(os.strerror(errno.ENOSPC) in errors.decode(), f"a reader was told {errors!r}")
    equal(served, 4, "images that were served")
