# SPDX-License-Identifier: Apache-2.0
"""Many streams of one image leave another image its share of the processors."""
import hashlib
import os
import subprocess
import time
from typing import List

from bed import PASSPHRASE, check, equal
from messages import MIB, QUICK, UNCOMPRESSED, plaintext
from registry import test_with

CROWD = 16
TRIES = 6
SIZE = 96 * MIB
SHARE = 0.25
COMPRESSED_SIZE = 12 * MIB  # they are read more slowly by far
DATA = plaintext(SIZE, seed=17)


def two_images(bed, size: int) -> List[str]:
    """The same plaintext under two ids: encrypting it twice would take longer than the test."""
    options = UNCOMPRESSED if size == SIZE else ("-z1",)
    stored = bed.gpg.encrypt(DATA[:size], PASSPHRASE, *QUICK, *options)
    return [bed.cloud.add_image(stored, bed.cloud.add_secret(), decrypt_size=size)
            for _ in range(2)]


def read_speed(view, size: int) -> float:
    """MiB a second of one reader that takes 1 MiB at a time."""
    fd = os.open(view, os.O_RDONLY)
    buffer = memoryview(bytearray(MIB))
    begin = time.perf_counter()
    total = 0
    while (count := os.readv(fd, [buffer])) > 0:
        total += count
    seconds = time.perf_counter() - begin
    os.close(fd)
    equal(total, size, "the bytes read")
    return size / MIB / seconds


def start_crowd(bed, view) -> None:
    """They begin anew when they are through."""
    for _ in range(CROWD):
        bed.start("cat", *[view] * 500)
    time.sleep(bed.seconds(0.5))


def median(values: List[float]) -> float:
    return sorted(values)[len(values) // 2]


def leaves_a_share(bed, size: int) -> None:
    crowded, other = [bed.view(image) for image in two_images(bed, size)]
    bed.mount()
    for view in (crowded, other):
        read_speed(view, size)
    alone = median([read_speed(other, size) for _ in range(TRIES)])
    start_crowd(bed, crowded)
    beside = median([read_speed(other, size) for _ in range(TRIES)])
    print(f"{alone:.0f} MiB/s alone, {beside:.0f} MiB/s beside {CROWD} streams of another image: "
          f"{beside / alone:.2f} of it")
    equal([reader.poll() for reader in bed.children], [None] * CROWD, "how the crowd ended")
    check(beside >= SHARE * alone, f"{beside / alone:.2f} of its speed is less than {SHARE}")


@test_with(alone=True, measures=True)
def a_crowd_on_one_image_leaves_another_a_quarter_of_its_speed(bed):
    leaves_a_share(bed, SIZE)


@test_with(alone=True, measures=True)
def a_crowd_on_a_compressed_image_leaves_another_a_quarter_of_its_speed(bed):
    leaves_a_share(bed, COMPRESSED_SIZE)


def are_read_right(bed, size: int) -> None:
    """Two crowds, whose streams wait for turns and take them over from each other."""
    images = two_images(bed, size)
    bed.mount()
    expected = hashlib.sha256(DATA[:size]).hexdigest()
    script = "sha256sum " + " ".join(str(bed.view(image)) for image in images)
    readers = [bed.start("sh", "-c", script, stdout=subprocess.PIPE) for _ in range(6)]
    for reader in readers:
        found = reader.communicate(timeout=bed.seconds(50))[0].decode()
        equal([line.split()[0] for line in found.splitlines()], [expected] * 2, "the hashes")


@test_with(alone=True)
def images_read_in_turns_are_read_right(bed):
    are_read_right(bed, SIZE)


@test_with(alone=True)
def compressed_images_read_in_turns_are_read_right(bed):
    are_read_right(bed, COMPRESSED_SIZE)
