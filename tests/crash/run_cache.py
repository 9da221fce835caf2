#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kills whoever changes the cache at each of his system calls, fails them one by one, and looks at what is left.

Whatever happened, an object in the cache is whole and right, the next fetch gives the image, and the next
prune leaves nothing behind.

Usage: run_cache.py --glancefs PROGRAM [--jobs N] [--only NAME...]
Prints one line per failure and at last `N passed, N failed`.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Sequence

from crash_points import Point, Result, calls_of, error_points, kill_points, run_with

STORED_BYTES = 2600017
KILLED = 137
# A kill anywhere else leaves what a kill at the next of these leaves.
CHANGING_CALLS = ("write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlinkat,ftruncate,openat,mkdir,mkdirat,"
                  "fallocate,utimensat,sync_file_range,flock")
# What a disk that is full, over quota or broken refuses.
REFUSALS = (("ENOSPC", ("write", "pwrite64", "mkdirat", "fallocate", "openat", "fsync", "fdatasync")),
            ("EDQUOT", ("write", "pwrite64", "fallocate")),
            ("EIO", ("write", "pwrite64", "fsync", "fdatasync", "renameat", "renameat2", "unlinkat", "ftruncate",
                     "pread64", "getdents64", "utimensat")))


class Failed(Exception):
    pass


class Site:
    """A local cloud with two images, and a cache directory."""

    def __init__(self, program: str, folder: Path):
        self.program, self.folder = program, folder
        self.cache = folder / "cache"

    def images(self) -> List[str]:
        return sorted(path.stem for path in (self.folder / "cloud/images").glob("*.json"))

    def copy_to(self, folder: Path) -> "Site":
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Site(self.program, folder)

    def fetch_command(self, number: int = 0) -> List[str]:
        return [self.program, "fetch", "--cloud", f"local:{self.folder}/cloud", "--cache", str(self.cache),
                self.images()[number]]

    def cache_command(self, *words: str) -> List[str]:
        return [self.program, "cache", *words, "--cache", str(self.cache)]

    def run(self, command: Sequence[str]) -> Result:
        process = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
                                 check=False)
        return Result(process.returncode, process.stdout, process.stderr)

    def must(self, command: Sequence[str]) -> Result:
        result = self.run(command)
        if result.code != 0:
            raise Failed(f"afterwards {' '.join(command[1:3])} ended with {result.code}: {result.errors}")
        return result

    def objects(self) -> List[Path]:
        return sorted((self.cache / "objects").glob("*"))

    def check_objects(self) -> None:
        for path in self.objects():
            metadata = json.loads((path / "meta.json").read_text())
            digest = hashlib.sha512((path / "data").read_bytes()).hexdigest()
            if not path.name.endswith(digest) or metadata["hash_value"] != digest:
                raise Failed(f"object {path.name} holds other bytes, or {metadata}")

    def go_on(self) -> None:
        """The next commands find a cache that works, and tidy it."""
        if (self.cache / "format").exists():
            self.must(self.cache_command("list", "--json"))
        self.must(self.fetch_command())
        self.check_objects()
        if not any(path.name.startswith(self.images()[0]) for path in self.objects()):
            raise Failed("the image was fetched but is not there")
        self.must(self.cache_command("verify"))
        self.must(self.cache_command("prune", "--offline"))
        left = [str(path.relative_to(self.cache)) for place in ("partial", "quarantine", "trash")
                for path in (self.cache / place).glob("*")]
        if left:
            raise Failed(f"left behind: {left}")


class Work(NamedTuple):
    """What is disturbed: a command, and the site it finds."""
    name: str
    template: Callable[[Path], Site]
    command: Callable[[Site], List[str]]
    environment: Dict[str, str]
    damages: bool = False  # the cache holds a wrong object from the start


def check(work: Work, point: Point, site: Site, result: Result, may_fail: bool) -> None:
    if result.code not in (KILLED, 0) and not may_fail:
        raise Failed(f"not killed, but ended with {result.code}: {result.errors}")
    # The word itself may be what could not be written.
    if result.code not in (KILLED, 0) and not result.errors.strip() and point.call != "write":
        raise Failed("failed without a word")
    if result.code == 0 and "fetch" in work.name and not site.objects():
        raise Failed("success was told, but nothing is there")
    if work.damages:
        # Until it is set aside it is there, and no more than an error for who reads it.
        site.run(site.cache_command("verify"))
    else:
        site.check_objects()
    site.go_on()


# --- sites ---

def make_site(program: str, folder: Path) -> Site:
    folder.mkdir(parents=True)
    site = Site(program, folder)
    (folder / "cloud/images").mkdir(parents=True, mode=0o700)
    (folder / "cache").mkdir(mode=0o700)
    for number in range(2):
        image, data = f"{number}0000000-0000-4000-8000-000000000000", random.Random(number).randbytes(STORED_BYTES)
        record = {"id": image, "status": "active", "visibility": "private", "disk_format": "raw",
                  "container_format": "encrypted", "created_at": "2024-05-06T07:08:09Z",
                  "updated_at": "2024-05-06T07:08:09Z", "size": len(data), "os_hash_algo": "sha512",
                  "os_hash_value": hashlib.sha512(data).hexdigest(), "os_encrypt_format": "GPG",
                  "os_encrypt_type": "symmetric", "os_encrypt_key_id": str(uuid.uuid5(uuid.NAMESPACE_OID, "key"))}
        (folder / f"cloud/images/{image}.json").write_text(json.dumps(record))
        (folder / f"cloud/images/{image}.data").write_bytes(data)
    return site


def make_begun_site(fresh: Site, folder: Path) -> Site:
    """A site whose fetch was killed when part of the image had come."""
    for number in range(1, 200):
        shutil.rmtree(folder, ignore_errors=True)
        site = fresh.copy_to(folder)
        for call in ("write", "pwrite64"):
            run_with(Point(call, number, "signal=KILL"), site.fetch_command())
            data = list((site.cache / "partial").glob("*/data"))
            if not site.objects() and data and 0 < data[0].stat().st_size < STORED_BYTES:
                return site
            shutil.rmtree(site.cache)
            site.cache.mkdir(mode=0o700)
    raise Failed("no kill leaves a download behind")


def make_full_site(fresh: Site, folder: Path) -> Site:
    site = fresh.copy_to(folder)
    site.must(site.fetch_command(1))
    return site


def make_damaged_site(fresh: Site, folder: Path) -> Site:
    site = fresh.copy_to(folder)
    site.must(site.fetch_command(0))
    site.must(site.fetch_command(1))
    with open(site.cache / "objects" / site.objects()[0].name / "data", "r+b") as data:
        data.seek(STORED_BYTES // 2)
        data.write(b"\0damaged\0")
    return site


def works_of(program: str, folder: Path) -> List[Work]:
    fresh = make_site(program, folder / "fresh")
    begun = make_begun_site(fresh, folder / "begun")
    full = make_full_site(fresh, folder / "full")
    damaged = make_damaged_site(fresh, folder / "damaged")
    untidy = damaged.copy_to(folder / "untidy")
    untidy.run(untidy.cache_command("verify"))
    shutil.copytree(begun.cache / "partial", untidy.cache / "partial", dirs_exist_ok=True)
    room_for_one = {"GLANCEFS_MAX_SIZE": str(STORED_BYTES * 3 // 2)}

    def of(site: Site) -> Callable[[Path], Site]:
        return site.copy_to

    return [
        Work("fetch", of(fresh), Site.fetch_command, {}),
        Work("fetch that goes on", of(begun), Site.fetch_command, {}),
        Work("fetch that evicts", of(full), Site.fetch_command, room_for_one),
        Work("evict", of(full), lambda site: site.cache_command("evict", site.images()[1]), {}),
        Work("verify", of(damaged), lambda site: site.cache_command("verify"), {}, damages=True),
        Work("prune", of(untidy), lambda site: site.cache_command("prune", "--offline"), {}),
    ]


# --- the run ---

class Run:
    def __init__(self, folder: Path, jobs: int):
        self.folder, self.jobs = folder, jobs
        self.passed = self.failed = 0

    def try_point(self, work: Work, point: Point, may_fail: bool) -> str:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            site = work.template(folder)
            check(work, point, site, run_with(point, work.command(site), {**os.environ, **work.environment}), may_fail)
            return ""
        except (Failed, OSError, ValueError, KeyError, subprocess.TimeoutExpired) as failure:
            return f"FAIL {work.name}: {point}: {failure}"
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def try_all(self, work: Work, points: List[Point], may_fail: bool) -> None:
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            for told in pool.map(lambda point: self.try_point(work, point, may_fail), points):
                self.passed += not told
                self.failed += bool(told)
                if told:
                    print(told, flush=True)

    def count(self, work: Work, calls: str) -> Dict[str, int]:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            return calls_of(work.command(work.template(Path(folder))), {**os.environ, **work.environment}, calls,
                            may_fail=work.damages)

    def disturb(self, work: Work) -> None:
        points = kill_points(self.count(work, CHANGING_CALLS))
        if not points:
            raise Failed(f"{work.name}: there is no point to try")
        self.try_all(work, points, may_fail=work.damages)
        refusing = self.count(work, ",".join(sorted({call for _, calls in REFUSALS for call in calls})))
        for error, calls in REFUSALS:
            self.try_all(work, error_points(refusing, error, calls), may_fail=True)


def main() -> int:
    # Or the program starts itself anew (base/process.h), and calls before that would be counted.
    os.environ["LD_BIND_NOW"] = "1"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glancefs", required=True)
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--only", nargs="+", default=[""])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="glancefs-crash-cache-") as folder:
        run = Run(Path(folder), arguments.jobs)
        for work in works_of(os.path.abspath(arguments.glancefs), Path(folder)):
            if any(part in work.name for part in arguments.only):
                run.disturb(work)
    print(f"{run.passed} passed, {run.failed} failed")
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
