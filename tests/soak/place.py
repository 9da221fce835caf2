# SPDX-License-Identifier: Apache-2.0
"""A mount with its cloud and cache, the images in it, what it was given to keep, and what it holds."""
import contextlib
import hashlib
import json
import os
import random
import subprocess
import threading
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

from bed import Bed, Failure, check, equal, mounted_below, same_bytes
from faulty_cloud import PROJECT, ServedCloud
from ledger import Ledger
from messages import KIB, MIB, plaintext
from write_bed import decrypt, status_of

IMAGES = 24
LARGEST = 1536 * KIB
# Of these, under verify=stream, most is shown before all of it is verified.
LONG, LONG_IMAGES = 4 * MIB, (2, 3)
# All that can be in use at a time fits, but not all images.
MAX_SIZE = 22 * MIB
DISK = 32 * MIB
MODES = ("first", "stream")
CACHE_NAMES = {"format", "lock", "cloud", "objects", "partial", "quarantine", "trash", "staging", "consumers"}
UNAVAILABLE = 7  # the exit code of a command whose services do not answer
# More than at the start may be held: memory that libraries keep; four spare buffers for requests; idle
# connections of up to 16 handles, each with one for every service, one to spare, and two descriptors to be woken;
# threads that wait for more after the request that looks.
ROOM = {"resident KiB": 24 * 1024, "arena bytes": 4 * (MIB + 64 * KIB), "connections": 16 * 6,
        "threads": 2}


class Written(NamedTuple):
    """A file that was written to an image. `is_sealed`: its seal was answered; else nobody knows."""
    image: str
    data: bytes
    is_sealed: bool


class Place:
    """One of the two mounts."""

    first_mode = 0  # of MODES, which take turns from mount to mount

    def __init__(self, name: str, bed: Bed, seed: int):
        self.name, self.bed, self.seed = name, bed, seed
        self.mounts, self.verify = 0, ""
        self.ledger = Ledger()
        self.failures: Dict[str, List[str]] = {}
        self.lock = threading.Lock()
        self.configuration = bed.tmp / "glancefs.conf"
        self.data: Dict[str, bytes] = {}
        self.pending: List[Written] = []
        self.unsealed: List[str] = []
        self.number = 0
        self.before: Dict[str, int] = {}

    def add_images(self) -> None:
        dice = random.Random(f"{self.seed} images of {self.name}")
        for number in range(IMAGES):
            size = number if number < 2 else LONG if number in LONG_IMAGES else dice.randrange(LARGEST // 2, LARGEST)
            data = plaintext(size, seed=number)
            options = ("-z1",) if number % 5 == 4 else ()
            self.data[self.bed.image(data, *options, **self.record_fields())] = data
        self.images = list(self.data)

    def record_fields(self) -> Dict[str, object]:
        return {}

    def fail(self, kind: str, reason: str) -> None:
        """`kind` is the invariant that does not hold."""
        with self.lock:
            self.failures.setdefault(kind, []).append(reason)

    # --- the daemon ---

    def mount(self) -> None:
        self.verify = MODES[(self.first_mode + self.mounts) % len(MODES)]
        self.bed.mount("--config", str(self.configuration), "-o", f"verify={self.verify}")
        self.mounts += 1
        self.ledger.add(f"mounts with verify={self.verify}")

    def kill(self) -> None:
        """kill -9; the place can be mounted again."""
        self.bed.daemon.kill()
        self.bed.daemon.wait()
        self.bed.daemon = None
        subprocess.run(["fusermount3", "-uz", str(self.bed.mount_point)], check=True)

    def command(self, *words: object) -> List[str]:
        return [str(word) for word in (self.bed.program, *words, "--config", self.configuration,
                                       "--cache", self.bed.cache)]

    # --- writing ---

    def new_queued(self) -> str:
        image = self.bed.cloud.add_image(None, self.bed.cloud.add_secret(), status="queued", **self.record_fields())
        self.ledger.add("images created")
        return image

    def new_data(self, dice: random.Random) -> bytes:
        with self.lock:
            self.number += 1
            number = self.number
        return plaintext(dice.choice((1, 64 * KIB, 300 * KIB, 700 * KIB)) + dice.randrange(1000), seed=1000 + number)

    def is_done(self, image: str) -> bool:
        """Nothing of its upload is left to be done."""
        staging = self.bed.cache / "staging"
        return (status_of(self.bed, image) == "active"
                and not any((staging / f"{image}{suffix}").exists() for suffix in (".json", ".data")))

    def audit(self, written: Written) -> None:
        """The image is active with a whole message of exactly what was written."""
        record, stored = self.bed.cloud.record(written.image), self.bed.cloud.data(written.image).read_bytes()
        equal((record["size"], record["os_hash_value"]), (len(stored), hashlib.sha512(stored).hexdigest()),
              "size and hash of the record")
        equal(record["os_decrypt_size"], str(len(written.data)), "the record's os_decrypt_size")
        same_bytes(decrypt(self.bed, written.image), written.data, "what gpg decrypts")
        self.ledger.add("uploads compared")
        self.ledger.add("bytes of uploads compared", len(written.data))

    # --- what it holds ---

    def status(self) -> dict:
        return json.loads((self.bed.mount_point / "status").read_text())

    def resources(self) -> Dict[str, int]:
        process = Path(f"/proc/{self.bed.daemon.pid}")
        memory = {line.split(":")[0]: int(line.split()[1]) for line in
                  (process / "status").read_text().splitlines() if line.startswith(("VmRSS", "VmLck"))}
        found = self.status()
        kinds = [self.kind_of(descriptor) for descriptor in (process / "fd").iterdir()]
        return {"files": kinds.count("file"), "connections": kinds.count("connection"),
                "threads": len(os.listdir(process / "task")), "resident KiB": memory["VmRSS"],
                "locked KiB": memory["VmLck"], "arena bytes": found["memory"]["used_bytes"],
                "streams": len(found["streams"])}

    @staticmethod
    def kind_of(descriptor: Path) -> str:
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(descriptor)
            return "connection" if target.startswith(("socket:", "anon_inode:[event")) else "file"
        return "closed"

    def growth(self, names: List[str]) -> List[str]:
        now = self.resources()
        return [f"{name} {self.before[name]}, now {now[name]}" for name in names
                if now[name] > self.before[name] + ROOM.get(name, 0) * self.bed.slowness]

    def settles(self, *names: str) -> None:
        """Idle threads end after some seconds."""
        grown, end = self.growth(list(names)), time.monotonic() + self.bed.seconds(40)
        while grown and time.monotonic() < end:
            time.sleep(5)  # to look is a request, too, for which threads stay
            grown = self.growth(list(names))
        check(not grown, f"at the start {'; '.join(grown)}")

    def stale_consumers(self) -> List[str]:
        """Entries of images that are gone: the daemon withdraws them after its start."""
        images = self.bed.cloud.path / "images"
        return [entry.name for entry in (self.bed.cache / "consumers").glob("[!.]*")
                if not (images / f"{entry.name.split('_')[1]}.json").exists()]

    def leftovers(self) -> None:
        self.bed.wait_for(lambda: not self.stale_consumers(), 30, "the consumers of deleted images to be withdrawn")
        for place in ("partial", "trash", "quarantine", "staging"):
            equal(sorted(os.listdir(self.bed.cache / place)), [], f"what is left in {place}")
        equal(set(os.listdir(self.bed.cache)) - CACHE_NAMES, set(), "what else is in the cache")
        held = {path: path.stat().st_size for path in (self.bed.cache / "objects").glob("*/data")}
        equal({path.parent.name[:36] for path in held} - set(self.data), set(), "objects of images that are gone")
        check(sum(held.values()) <= MAX_SIZE, f"the cache holds {sum(held.values())} bytes of {MAX_SIZE}")
        strange = [path.name for path in (self.bed.cloud.path / "images").iterdir()
                   if path.suffix not in (".json", ".data")]
        strange += [path.name for path in (self.bed.cache / "consumers").glob(".*")]
        strange += [path.name for path in (self.bed.cloud.path / "secrets").iterdir()
                    if path.suffix not in (".json", ".payload")]
        equal(strange, [], "what is left in the cloud and of consumers")

    def close(self) -> None:
        self.bed.close()


class LocalPlace(Place):
    """A local cloud, and a cache on a disk of its own that can be full."""

    def __init__(self, bed: Bed, seed: int):
        super().__init__("local", bed, seed)
        self.disk = bed.tmp / "disk"
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0700", "tmpfs", str(self.disk)], check=True)
        bed.cache = self.disk / "cache"
        self.configuration.write_text(f"cloud = {bed.cloud.name}\nmax_size = {MAX_SIZE}\nmin_free = 0\n",
                                      encoding="ascii")
        self.configuration.chmod(0o600)

    def close(self) -> None:
        try:
            super().close()
        finally:
            for place in mounted_below(self.bed.tmp):
                subprocess.run(["umount", "--lazy", place], check=False)


class OpenstackPlace(Place):
    """Services over HTTP that fail in all ways."""

    first_mode = 1

    def __init__(self, bed: Bed, seed: int):
        super().__init__("openstack", bed, seed)
        self.cloud: Optional[ServedCloud] = ServedCloud(bed.cloud.path, seed)
        bed.cloud.name = "openstack"
        self.cloud.write_configuration(self.configuration, f"max_size = {MAX_SIZE}", "min_free = 0")

    def record_fields(self) -> Dict[str, object]:
        return {"owner": PROJECT}

    def mount(self) -> None:
        """A mount that cannot log in ends; an operator, or systemd, starts it anew."""
        end = time.monotonic() + self.bed.seconds(60)
        while True:
            try:
                super().mount()
                return
            except Failure:
                if self.bed.daemon.poll() != UNAVAILABLE or time.monotonic() > end:
                    raise
                self.ledger.add("mounts refused by failing services")

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.cloud.close()
