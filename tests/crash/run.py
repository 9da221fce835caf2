#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kills an uploader at each of its system calls, fails them one by one, and lets the next process go on.

Whatever happened, no image is ever active with other bytes than those of a sealed upload, no sealed
upload is lost, and what was not sealed is gone.

Usage: run.py --glancefs PROGRAM [--jobs N]
Prints one line per failure and at last `N passed, N failed`.
"""
import argparse
import concurrent.futures
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, List

from crash_points import Point, Result, calls_of, error_points, kill_points, run_with

DISK_BYTES = 300017
KILLED = 137


class Failed(Exception):
    pass


class Site:
    """A local cloud with one key, and a cache directory."""

    def __init__(self, program: str, folder: Path):
        self.program, self.folder = program, folder

    def copy_to(self, folder: Path) -> "Site":
        """Journals name the cloud, which is another one there."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        for journal in (folder / "cache").glob("staging/*.json"):
            journal.write_text(journal.read_text().replace(f"{self.folder}/", f"{folder}/"))
        return Site(self.program, folder)

    def command(self, *words: str) -> List[str]:
        place = ["--cloud", f"local:{self.folder}/cloud", "--cache", f"{self.folder}/cache"]
        return [self.program, *words, *place]

    def run(self, *words: str) -> Result:
        process = subprocess.run(self.command(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                 timeout=30, check=False)
        return Result(process.returncode, process.stdout, process.stderr)

    def secret(self) -> Path:
        return next((self.folder / "cloud/secrets").glob("*.payload"))

    def upload_command(self) -> List[str]:
        return self.command("upload", "--key", self.secret().stem, str(self.folder / "disk"))

    def sealed(self) -> List[str]:
        return sorted(path.stem for path in (self.folder / "cache/staging").glob("*.json"))

    def active(self) -> List[str]:
        records = (self.folder / "cloud/images").glob("*.json")
        return sorted(path.stem for path in records if json.loads(path.read_text())["status"] == "active")

    def check_active_images(self) -> None:
        """Every active image is the whole disk, encrypted."""
        disk = (self.folder / "disk").read_bytes()
        for image in self.active():
            data = self.folder / f"cloud/images/{image}.data"
            plain = subprocess.run([self.program, "decrypt", "--key-file", str(self.secret()), str(data)],
                                   stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
            if plain.returncode != 0 or plain.stdout != disk:
                raise Failed(f"image {image} is active with other bytes: {plain.stderr.decode()}")

    def go_on(self, sealed: List[str]) -> None:
        """The next process: it purges at its start, and sends what was sealed."""
        listed = self.run("uploads", "list", "--json")
        if listed.code != 0:
            raise Failed(f"list: {listed.errors}")
        if [upload["image_id"] for upload in json.loads(listed.output)] != sealed:
            raise Failed(f"sealed were {sealed}, listed are {listed.output}")
        for image in sealed:
            result = self.run("uploads", "retry", image)
            if result.code != 0:
                raise Failed(f"retry: {result.errors}")
        left = sorted(path.name for path in (self.folder / "cache/staging").glob("*"))
        if left:
            raise Failed(f"left in staging: {left}")
        half = [str(path) for place in ("cloud/images", "cloud/secrets", "cache/consumers")
                for path in (self.folder / place).glob(".*")]
        if half:
            raise Failed(f"left half written: {half}")
        lost = set(sealed) - set(self.active())
        if lost:
            raise Failed(f"sealed, but not active: {lost}")
        self.check_active_images()


def check_killed(site: Site, result: Result) -> None:
    if result.code not in (KILLED, 0):
        raise Failed(f"not killed, but ended with {result.code}: {result.errors}")
    check_failed(site, result)


def check_failed(site: Site, result: Result) -> None:
    """A program that survives its fault says honestly how it ended."""
    site.check_active_images()
    sealed = site.sealed()
    if result.code == 0 and (sealed or not site.active() or result.output.strip() not in ("", *site.active())):
        raise Failed(f"success was told, but sealed is {sealed}, active {site.active()}: {result.errors}")
    if "is kept" in result.errors and not sealed:
        raise Failed(f"an upload was said to be kept, but is not: {result.errors}")
    site.go_on(sealed)


def make_site(program: str, folder: Path) -> Site:
    folder.mkdir()
    site = Site(program, folder)
    (folder / "disk").write_bytes(random.Random(1).randbytes(DISK_BYTES))
    subprocess.run([program, "key", "create", "--cloud", f"local:{folder}/cloud"], check=True, capture_output=True)
    (folder / "cloud/images").mkdir(mode=0o700, exist_ok=True)
    (folder / "cache").mkdir(mode=0o700)
    return site


def make_sealed_site(fresh: Site, folder: Path) -> Site:
    """A site whose uploader was killed between the seal and the upload."""
    for number in range(1, 100):
        shutil.rmtree(folder, ignore_errors=True)
        site = fresh.copy_to(folder)
        run_with(Point("fsync", number, "signal=KILL"), site.upload_command())
        if site.sealed() and not site.active():
            return site
    raise Failed("no kill leaves a sealed upload behind")


class Bench:
    def __init__(self, folder: Path, jobs: int):
        self.folder, self.jobs = folder, jobs
        self.passed = self.failed = 0

    def try_point(self, name: str, template: Site, words: Callable[[Site], List[str]], point: Point,
                  check: Callable[[Site, Result], None]) -> str:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            site = template.copy_to(folder)
            check(site, run_with(point, words(site)))
            return ""
        except (Failed, OSError, ValueError, subprocess.TimeoutExpired) as failure:
            return f"FAIL {name}: {point}: {failure}"
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def try_all(self, name: str, template: Site, words: Callable[[Site], List[str]], points: List[Point],
                check: Callable[[Site, Result], None]) -> None:
        if not points:
            raise Failed(f"{name}: there is no point to try")
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            for told in pool.map(lambda point: self.try_point(name, template, words, point, check), points):
                self.passed += not told
                self.failed += bool(told)
                if told:
                    print(told, flush=True)


def retry_command(site: Site) -> List[str]:
    return site.command("uploads", "retry", site.sealed()[0])


def run_all(bench: Bench, program: str) -> None:
    fresh = make_site(program, bench.folder / "fresh")
    sealed = make_sealed_site(fresh, bench.folder / "sealed")
    works = (("upload", fresh, Site.upload_command), ("retry", sealed, retry_command))
    for name, template, words in works:
        with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
            counts = calls_of(words(template.copy_to(Path(folder))))
        bench.try_all(f"{name} killed", template, words, kill_points(counts), check_killed)
        bench.try_all(f"{name} on a full disk", template, words, error_points(counts, "ENOSPC", ["write", "mkdirat"]),
                      check_failed)
        bench.try_all(f"{name} on a broken disk", template, words,
                      error_points(counts, "EIO", ["fsync", "fdatasync", "renameat", "unlinkat"]), check_failed)


def main() -> int:
    # Or the program starts itself anew (base/process.h), and calls before that would be counted.
    os.environ["LD_BIND_NOW"] = "1"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glancefs", required=True)
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="glancefs-crash-") as folder:
        bench = Bench(Path(folder), arguments.jobs)
        run_all(bench, os.path.abspath(arguments.glancefs))
    print(f"{bench.passed} passed, {bench.failed} failed")
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
