# SPDX-License-Identifier: Apache-2.0
"""A disk below the cache that hangs delays only those who read from it. It is an ext4 filesystem in a
file of a FUSE filesystem that lets reads wait (slow_disk.c)."""
import contextlib
import os
import subprocess
import time
from pathlib import Path

from bed import check, equal, same_bytes
from messages import MIB, plaintext
from registry import test_with

READERS = 40
COLD_IMAGES = 8
DISK_SIZE = 128 * MIB
STATS = 400
LISTINGS = 20
PASSES = 5
BEGIN = 4096
LIMITS_MS = {"stat": 20, "ls": 20, "4 MiB from memory": 250}
DATA = plaintext(4 * MIB, seed=23)


class SlowDisk:
    def __init__(self, bed):
        self.bed = bed
        self.backing, self.place = bed.tmp / "backing", bed.tmp / "disk"
        self.shown = bed.tmp / "shown"
        self.stalled = self.backing.with_suffix(".stalled")

    def mount(self) -> None:
        program = self.bed.tmp / "slow_disk"
        flags = self.bed.run("pkg-config", "--cflags", "--libs", "fuse3").stdout.decode().split()
        self.bed.run("cc", "-O1", "-D_GNU_SOURCE", "-o", program,
                     Path(__file__).with_name("slow_disk.c"), *flags)
        for place in (self.place, self.shown):
            place.mkdir()
        self.backing.touch()
        os.truncate(self.backing, DISK_SIZE)
        self.bed.run("mkfs.ext4", "-q", self.backing)
        self.bed.start(program, self.backing, self.shown)
        self.bed.wait_for(lambda: os.path.ismount(self.shown), 10, "the slow disk")
        self.bed.run("mount", "-o", "loop,noatime", self.shown / "disk", self.place)

    def unmount(self) -> None:
        for place in (self.place, self.shown):
            subprocess.run(["umount", "--lazy", str(place)], check=False)

    def forget(self, path: Path) -> None:
        """The file is on disk only."""
        with open(path, "rb") as file:
            os.fsync(file)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def stall(self) -> None:
        self.stalled.touch()

    def go_on(self) -> None:
        self.stalled.unlink(missing_ok=True)


@contextlib.contextmanager
def slow_disk(bed):
    disk = SlowDisk(bed)
    try:
        disk.mount()
        bed.cache = disk.place / "cache"
        yield disk
    finally:
        disk.go_on()
        if bed.daemon is not None:
            equal(bed.stop(), 0, "the daemon's exit code")
        disk.unmount()


def slowest_but_few_ms(action, count: int) -> float:
    """What 99 of 100 do not exceed."""
    times = []
    for turn in range(count):
        begin = time.perf_counter()
        action(turn)
        times.append(1000 * (time.perf_counter() - begin))
    return sorted(times)[max(count * 99 // 100 - 1, 0)]


def times_ms(bed, unread, warm):
    """Of stat on what the kernel may not remember, of ls, of a pass over an image in memory (all of it, which a busy
    machine takes its time for)."""
    views = [bed.view(image) for image in unread]
    view = bed.view(warm)
    return (slowest_but_few_ms(lambda turn: os.stat(views[turn % len(views)]), STATS),
            slowest_but_few_ms(lambda _: os.listdir(bed.mount_point / "decrypt"), LISTINGS),
            slowest_but_few_ms(lambda _: same_bytes(view.read_bytes(), DATA, "the bytes"), PASSES))


def open_begun(bed, image) -> int:
    fd = os.open(bed.view(image), os.O_RDONLY)
    equal(len(os.read(fd, BEGIN)), BEGIN, "the bytes of a first read")
    return fd


def stalled_readers(bed, disk, cold) -> list:
    """Readers of images on a disk that hangs from now on: half of them have begun, and stall in
    read(2), the others in open(2)."""
    begun = [open_begun(bed, cold[turn % len(cold)]) for turn in range(READERS // 2)]
    for image in cold:
        for path in (bed.cache / "objects").glob(f"{image}*/*"):
            disk.forget(path)
    disk.stall()
    readers = []
    for fd in begun:
        readers.append(subprocess.Popen(["cat"], stdin=fd, stdout=subprocess.PIPE))
        os.close(fd)
    bed.children += readers
    readers += [bed.start("cat", bed.view(cold[turn % len(cold)]), stdout=subprocess.PIPE)
                for turn in range(READERS // 2)]
    time.sleep(bed.seconds(0.5))
    equal([reader.poll() for reader in readers], [None] * READERS, "how the readers ended")
    return readers


@test_with(alone=True)
def readers_stalled_by_a_cold_disk_delay_nobody_else(bed):
    cold = [bed.image(DATA[:-turn - 1]) for turn in range(COLD_IMAGES)]
    warm = bed.image(DATA)
    unread = [bed.image(DATA[:-turn - 100]) for turn in range(4)]
    with slow_disk(bed) as disk:
        bed.mount()
        for image in cold + [warm]:
            bed.run("cat", bed.view(image))
        alone = times_ms(bed, unread, warm)
        readers = stalled_readers(bed, disk, cold)
        beside = times_ms(bed, unread, warm)
        disk.go_on()
        for name, before, now in zip(LIMITS_MS, alone, beside):
            print(f"{name}: {before:.2f} ms alone, {now:.2f} ms beside {READERS} stalled readers")
            limit = bed.seconds(max(LIMITS_MS[name], 4 * before))
            check(now <= limit, f"{name} took {now:.2f} ms, the limit is {limit:.2f} ms")
        for turn, reader in enumerate(readers):
            image = turn % (READERS // 2) % COLD_IMAGES
            same_bytes(reader.communicate()[0],
                       DATA[BEGIN if turn < READERS // 2 else 0:-image - 1], "a cold image")
