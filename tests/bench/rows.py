# SPDX-License-Identifier: Apache-2.0
"""The rows of the table. Each prepares its files, compares the bytes that come out with those that went
in, and is then asked for one sample per round, ours and the peer's one after the other."""
import gc
import itertools
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Callable, List, Optional

from cold_rows import COLD_ROWS
from material import KIB, ImageBed, Material, dd
from measure import Sample, peak_kib, require, run, run_together, timed
from row import Round, Row, both

OPENS = 1000
WARMING_OPENS = 50
IDLE_OPENS = 128
# A download is let go on by so many bytes, when a reader has had nothing for so long.
ARRIVING_STEP = 512
ARRIVING_SECONDS = 0.5
KEY_KEPT = "authorise_ttl=600"
MANY_STREAMS = "max_streams=256"


def commands(ours: List[object], peer: List[object]) -> Round:
    return lambda ours_first: both(ours_first, lambda: timed(lambda: run(ours)),
                                   lambda: timed(lambda: run(peer)))


# --- commands ---

def decrypt_row(message: Callable[[Material], Path], plain: Callable[[Material], Path]):
    def prepare(material: Material) -> Round:
        ours = material.glancefs("decrypt", message(material))
        run(ours, output=material.scratch())
        material.same_content(material.scratch(), plain(material), "decrypt")
        material.scratch().unlink()
        return commands(ours, material.gpg_decrypt(message(material)))
    return prepare


def checked_encryption(material: Material, *options: str) -> List[object]:
    """The command, whose output was decrypted by gpg if gpg can, else by ourselves."""
    message, output = material.scratch("message"), material.scratch()
    command = material.glancefs("encrypt", material.plain(), *options)
    run(command, output=message)
    readable_by_gpg = "ocb" not in options and "gcm" not in options
    run(material.gpg_decrypt(message) if readable_by_gpg else material.glancefs("decrypt", message),
        output=output)
    material.same_content(output, material.plain(), "encrypt")
    message.unlink()
    output.unlink()
    return command


def encrypt(material: Material) -> Round:
    return commands(checked_encryption(material), material.gpg_encrypt(material.plain(), "-z0"))


def encrypt_aead(mode: str):
    def prepare(material: Material) -> Round:
        return commands(checked_encryption(material, "--aead", mode),
                        material.rnp_encrypt(material.plain(), "-"))
    return prepare


# --- whole images from a mount ---

def checked_view(material: Material, name: str, message: Path, plain: Path) -> ImageBed:
    bed = material.image_bed(name, message, plain.stat().st_size)
    with bed.mounted():
        run(dd(bed.view, material.scratch()))
    material.same_content(material.scratch(), plain, "the mount")
    material.scratch().unlink()
    return bed


def from_mount(name: str, message: Callable[[Material], Path]):
    def prepare(material: Material) -> Round:
        stored = message(material)
        bed = checked_view(material, name, stored, material.plain())

        def ours() -> float:
            with bed.mounted():
                return timed(lambda: run(dd(bed.view)))
        return lambda ours_first: both(ours_first, ours,
                                       lambda: timed(lambda: run(material.gpg_decrypt(stored))))
    return prepare


def copy(material: Material) -> Round:
    bed = checked_view(material, "copy", material.seipd(), material.plain())
    target = material.scratch("copied")

    def ours() -> float:
        target.unlink(missing_ok=True)
        with bed.mounted():
            return timed(lambda: run(["cp", bed.view, target]))

    def peer() -> float:
        target.unlink(missing_ok=True)
        return timed(lambda: run(material.gpg("--output", target, "--decrypt", material.seipd())))

    def a_round(ours_first: bool) -> Sample:
        sample = both(ours_first, ours, peer)
        target.unlink()
        return sample
    return a_round


def readers(count: int):
    """The peer is one reader: as fast in total means that so many take so many times as long."""
    def prepare(material: Material) -> Round:
        bed = checked_view(material, f"readers-{count}", material.seipd(), material.plain())

        def a_round(ours_first: bool) -> Sample:
            with bed.mounted():
                return both(ours_first,
                            lambda: timed(lambda: run_together(dd(bed.view), count)) / count,
                            lambda: timed(lambda: run(dd(bed.view))))
        return a_round
    return prepare


# --- small reads ---

def first_byte(material: Material) -> Round:
    """From a daemon that never saw the image: record, key, download, derivation, verification."""
    bed = checked_view(material, "first-byte", material.small_seipd(), material.small())
    first = material.small().read_bytes()[:1]

    def read_one() -> None:
        fd = os.open(bed.view, os.O_RDONLY)
        byte = os.read(fd, 1)
        os.close(fd)
        require(byte == first, "another first byte")

    def ours() -> float:
        with bed.mounted(verified=False):
            return timed(read_one)
    return lambda ours_first: both(
        ours_first, ours, lambda: timed(lambda: run(material.gpg_decrypt(material.small_seipd()))))


def open_times(view: Path, expected: bytes, count: int) -> List[float]:
    """Microseconds of open and a read of 4 KiB, so many times."""
    times = []
    gc.disable()
    for _ in range(count):
        begin = time.perf_counter_ns()
        fd = os.open(view, os.O_RDONLY)
        data = os.read(fd, 4 * KIB)
        times.append((time.perf_counter_ns() - begin) / 1000)
        os.close(fd)
        require(data == expected, "other bytes at the front")
    gc.enable()
    return sorted(times)


def one_round_of_opens(material: Material) -> List[float]:
    """Of an image that somebody else has open, whose key is in memory therefore."""
    if material.open_bed is None:
        material.open_bed = checked_view(material, "open", material.seipd(), material.plain())
    bed = material.open_bed
    with open(material.plain(), "rb") as plain:
        expected = plain.read(4 * KIB)
    with bed.mounted(KEY_KEPT), open(bed.view, "rb", buffering=0):
        open_times(bed.view, expected, WARMING_OPENS)
        return open_times(bed.view, expected, OPENS)


def open_quantile(quantile: float):
    """Rows of several quantiles look at the same opens."""
    def prepare(material: Material) -> Round:
        rounds = itertools.count()

        def a_round(_: bool) -> Sample:
            number = next(rounds)
            if number == len(material.open_rounds):
                material.open_rounds.append(one_round_of_opens(material))
            return Sample(material.open_rounds[number][int(OPENS * quantile)])
        return a_round
    return prepare


def stop_download(bed: ImageBed, at: Optional[int]) -> None:
    """The cloud holds the download before this byte until it is told another, or none."""
    cloud = bed.bed.cloud
    record = cloud.record(bed.image)
    record.pop("glancefs_test_stop_at", None)
    cloud.write_record(bed.image, record if at is None else {**record, "glancefs_test_stop_at": at})


def ciphertext_for_first_bytes(material: Material) -> Round:
    """Bytes of the image that must have arrived before a read of 512 is answered."""
    bed = material.image_bed("arriving", material.seipd(), material.size)
    with open(material.plain(), "rb") as plain:
        expected = plain.read(512)

    def a_round(_: bool) -> Sample:
        bed.forget()
        arrived = ARRIVING_STEP
        stop_download(bed, arrived)
        with bed.mounted("verify=stream", verified=False), subprocess.Popen(
                ["dd", f"if={bed.view}", "bs=512", "count=1", "status=none"], stdout=subprocess.PIPE) as reader:
            while not select.select([reader.stdout], [], [], ARRIVING_SECONDS)[0]:
                require(arrived < material.size, "nothing came before the end of the image")
                arrived += ARRIVING_STEP
                stop_download(bed, arrived)
            require(reader.stdout.read() == expected, "other bytes came first")
            stop_download(bed, None)
        return Sample(arrived)
    return a_round


# --- memory ---

def large_bed(material: Material, name: str) -> ImageBed:
    """An image whose plaintext is a hole, which takes no memory."""
    def make(path: Path) -> Path:
        hole = material.scratch("hole")
        hole.touch()
        os.truncate(hole, material.memory_size)
        run(material.glancefs("encrypt", hole, "--output", str(path)))
        hole.unlink()
        return path
    if "large" not in material.made:
        material.made["large"] = make(material.folder / "large")
    return material.image_bed(name, material.made["large"], material.memory_size)


def read_whole(bed: ImageBed, count: int) -> int:
    """So many readers at once; then the peak."""
    run_together(["sh", "-c", f"test \"$(dd if={bed.view} bs=1M status=none | wc -c)\" = "
                              f"{os.stat(bed.view).st_size}"], count)
    return peak_kib(bed.pid)


def memory_of_one(material: Material) -> Round:
    bed = large_bed(material, "memory-1")

    def a_round(_: bool) -> Sample:
        with bed.mounted():
            return Sample(read_whole(bed, 1))
    return a_round


def memory_of_further(material: Material) -> Round:
    bed = large_bed(material, "memory-8")

    def a_round(_: bool) -> Sample:
        with bed.mounted():
            one = read_whole(bed, 1)
            return Sample((read_whole(bed, 8) - one) / 7)
    return a_round


def memory_of_idle(material: Material) -> Round:
    bed = material.image_bed("memory-idle", material.seipd(), material.size)

    def a_round(_: bool) -> Sample:
        with bed.mounted(MANY_STREAMS):
            handles = [os.open(bed.view, os.O_RDONLY) for _ in range(8)]
            before = peak_kib(bed.pid)
            handles += [os.open(bed.view, os.O_RDONLY) for _ in range(IDLE_OPENS)]
            after = peak_kib(bed.pid)
            for handle in handles:
                os.close(handle)
            return Sample((after - before) / IDLE_OPENS)
    return a_round


ROWS = [
    Row("dd", "verified SEIPDv1 image, dd bs=1M from the mount", "gpg -d", 3, 5,
        from_mount("dd", Material.seipd)),
    Row("decrypt", "first pass on a file: glancefs decrypt", "gpg -d", 1.55, 1.8,
        decrypt_row(Material.seipd, Material.plain)),
    Row("cp", "verified image, cp from the mount to tmpfs", "gpg -o", 2, 2.5, copy),
    Row("compressed", "gpg's default compressed message, glancefs decrypt", "gpg -d", 1.25, 2.2,
        decrypt_row(Material.compressed, Material.image_like)),
    Row("ocb", "verified OCB packet of rnp, dd bs=1M from the mount", "gpg -d", 1.4, 2,
        from_mount("ocb", Material.ocb)),
    Row("encrypt", "glancefs encrypt, SEIPDv1", "gpg -c -z0", 1.6, 1.75, encrypt),
    Row("encrypt-ocb", "glancefs encrypt, OCB packet", "rnp -c --aead=OCB", 2.5, 3,
        encrypt_aead("librepgp-ocb")),
    Row("encrypt-v2", "glancefs encrypt, SEIPDv2 with OCB", "rnp -c --aead=OCB", 2.5, 3,
        encrypt_aead("ocb")),
    Row("first-byte", "open and first byte, 64 KiB image, key not derived", "gpg -d", 0.5, 0.25,
        first_byte, unit="of"),
    Row("open-p50", "open and first 4 KiB, verified, key in memory: p50", "", 150, None,
        open_quantile(0.5), unit="µs"),
    Row("open-p99", "the same: p99", "", 500, None, open_quantile(0.99), unit="µs"),
    Row("arriving", "ciphertext arrived before 512 bytes are read, verify=stream", "", 4096, None,
        ciphertext_for_first_bytes, unit="bytes", most_rounds=1),
    Row("readers-4", "4 readers of a verified image, in total", "one reader", 1, None, readers(4)),
    Row("readers-16", "16 readers", "one reader", 0.7, None, readers(16)),
    Row("memory-1", "memory with one stream of a large image", "", 16384, None, memory_of_one, unit="KiB",
        most_rounds=1),
    Row("memory-8", "memory for each of 7 further streams", "", 4096, None, memory_of_further, unit="KiB",
        most_rounds=1),
    Row("memory-idle", "memory for an idle open", "", 64, None, memory_of_idle, unit="KiB", most_rounds=1),
] + COLD_ROWS
