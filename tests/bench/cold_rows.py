# SPDX-License-Identifier: Apache-2.0
"""The rows of the cache: images that are not there yet, through HTTP, and many that are."""
import contextlib
import os
import shlex
import shutil
import subprocess
import time
import uuid
from pathlib import Path
from typing import Callable, Iterator, List

from http_cloud import HttpCloud, ServedCloud
from material import KIB, PASSPHRASE, ImageBed, Material, dd
from measure import Sample, require, run, timed
from row import Round, Row, both

# A decision of the cache looks at so many objects.
STARTING_OBJECTS = 1000
EVICTING_OBJECTS = 10000


class ColdBed:
    """One image behind HTTP, and a cache that is empty whenever something begins."""

    def __init__(self, material: Material, name: str):
        self.material, self.message = material, material.seipd()
        self.bed = ImageBed(material, material.new_folder(name), self.message, material.size).bed
        self.cloud = HttpCloud()
        self.image = self.cloud.add_image(self.message, material.digest(self.message), PASSPHRASE, material.size)
        self.configuration = self.cloud.write_configuration(self.bed.tmp / "glancefs.conf")

    @contextlib.contextmanager
    def served(self) -> Iterator[None]:
        server = ServedCloud(self.cloud)
        try:
            yield
        finally:
            server.close()

    def forget(self) -> None:
        shutil.rmtree(self.bed.cache, ignore_errors=True)

    @property
    def place(self) -> List[object]:
        return ["--config", self.configuration, "--cache", self.bed.cache]

    def read(self, mode: str, output: Path = Path(os.devnull)) -> float:
        """Seconds of the first read ever, the mount's start excepted."""
        self.forget()
        command = [self.material.program, "mount", *self.place, "-f", "-o", f"verify={mode}", self.bed.mount_point]
        self.bed.mount(command=[str(word) for word in command])
        try:
            return timed(lambda: run(dd(self.bed.view(self.image), output)))
        finally:
            require(self.bed.stop() == 0, f"the daemon failed: {self.bed.log_text()}")

    def fetch(self) -> float:
        self.forget()
        return timed(lambda: run([self.material.program, "fetch", *self.place, self.image]))

    def curl(self, into: List[object]) -> float:
        """Seconds of a pipe from curl into that command."""
        script = f"set -o pipefail; curl --silent --fail --output - {self.cloud.data_url(self.image)} | "
        return timed(lambda: run(["bash", "-c", script + shlex.join(str(word) for word in into)]))


def decrypt_only(bed: ColdBed) -> float:
    return bed.curl(bed.material.gpg("--decrypt"))


def do_the_same(mode: str) -> Callable[[ColdBed], float]:
    """What a shell needs to do as much as a mount: keep the ciphertext, check its hash, decrypt."""
    def peer(bed: ColdBed) -> float:
        kept = bed.bed.tmp / "kept"
        decrypt = shlex.join(str(word) for word in bed.material.gpg("--decrypt"))
        script = f"tee {kept} >(sha512sum >&2) | {decrypt}" if mode == "stream" else \
            f"tee {kept} | sha512sum >&2 && {decrypt} {kept}"
        seconds = bed.curl(["bash", "-c", script])
        kept.unlink()
        return seconds
    return peer


def cold_read(mode: str, peer: Callable[[ColdBed], float]):
    def prepare(material: Material) -> Round:
        bed = ColdBed(material, f"cold-{mode}-{peer.__name__}")
        with bed.served():
            bed.read(mode, material.scratch())
        material.same_content(material.scratch(), material.plain(), "the cold mount")
        material.scratch().unlink()

        def a_round(ours_first: bool) -> Sample:
            with bed.served():
                return both(ours_first, lambda: bed.read(mode), lambda: peer(bed))
        return a_round
    return prepare


def fetch(material: Material) -> Round:
    bed = ColdBed(material, "fetch")
    with bed.served():
        bed.fetch()
    data = next(bed.bed.cache.glob("objects/*/data"))
    material.same_content(data, bed.message, "the fetch")

    def a_round(ours_first: bool) -> Sample:
        with bed.served():
            return both(ours_first, bed.fetch, lambda: bed.curl(["sha512sum"]))
    return a_round


# --- a cache with many objects ---

def multiply(cache: Path, image: str, count: int) -> None:
    """Makes so many objects of the one that is there, each another image's."""
    [original] = cache.glob(f"objects/{image}*")
    metadata = (original / "meta.json").read_text(encoding="ascii")
    for _ in range(count - 1):
        other = str(uuid.uuid4())
        copy = original.with_name(original.name.replace(image, other))
        copy.mkdir(mode=0o700)
        shutil.copyfile(original / "data", copy / "data")
        (copy / "meta.json").write_text(metadata.replace(image, other), encoding="ascii")
        for name in ("data", "meta.json"):
            (copy / name).chmod(0o600)


def full_cache(material: Material, name: str, count: int) -> ImageBed:
    bed = material.image_bed(name, material.small_seipd(), 64 * KIB)
    run([material.program, "fetch", "--cloud", bed.bed.cloud.name, "--cache", bed.bed.cache, bed.image])
    multiply(bed.bed.cache, bed.image, count)
    return bed


def start(material: Material) -> Round:
    bed = full_cache(material, "start", STARTING_OBJECTS)

    def a_round(_: bool) -> Sample:
        begin = time.perf_counter()
        with bed.mounted(verified=False):
            milliseconds = (time.perf_counter() - begin) * 1000
            usage = subprocess.run([str(material.program), "cache", "list", "--cache", str(bed.bed.cache)],
                                   capture_output=True, text=True, check=True).stdout
            require(usage.count(" complete ") >= STARTING_OBJECTS, f"objects were lost at the start: {usage[:300]}")
        return Sample(milliseconds)
    return a_round


def evict(material: Material) -> Round:
    """One more image into a cache that is full: another one has to go first."""
    bed = full_cache(material, "evict", EVICTING_OBJECTS)
    cloud, cache = bed.bed.cloud, bed.bed.cache
    stored = material.small_seipd().read_bytes()

    def objects() -> int:
        return sum(1 for _ in cache.glob("objects/*"))

    def size() -> int:
        return int(subprocess.run(["du", "--summarize", "--block-size=1", str(cache / "objects")],
                                  capture_output=True, text=True, check=True).stdout.split()[0])

    def a_round(_: bool) -> Sample:
        image, before = cloud.add_image(stored, cloud.add_secret(PASSPHRASE), decrypt_size=64 * KIB), objects()
        command = ["env", f"GLANCEFS_MAX_SIZE={size()}", material.program, "fetch", "--cloud", cloud.name,
                   "--cache", cache, image]
        milliseconds = timed(lambda: run(command)) * 1000
        require(any(cache.glob(f"objects/{image}*")), "the image was not fetched")
        require(objects() <= before, "nothing was evicted")
        return Sample(milliseconds)
    return a_round


COLD_ROWS = [
    Row("cold-stream", "image not in the cache, through HTTP, dd bs=1M, verify=stream", "curl | gpg -d", 1, None,
        cold_read("stream", decrypt_only)),
    Row("cold-stream-same", "the same", "curl | tee CACHE >(sha512sum) | gpg -d", 1, None,
        cold_read("stream", do_the_same("stream"))),
    Row("cold-first", "the same, verify=first", "curl | gpg -d", 0.7, None, cold_read("first", decrypt_only)),
    Row("cold-first-same", "the same", "curl | tee CACHE | sha512sum && gpg -d CACHE", 1, None,
        cold_read("first", do_the_same("first"))),
    Row("fetch", "glancefs fetch", "curl | sha512sum", 1.15, None, fetch, unit="of"),
    Row("start-1000", "mount with 1,000 cached objects", "", 200, None, start, unit="ms"),
    Row("evict-10000", "fetch of 64 KiB that has to evict one of 10,000 objects", "", 250, None, evict, unit="ms"),
]
