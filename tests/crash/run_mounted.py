#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every moment of a write through a mount: run_mounted.py --glancefs PROGRAM [--jobs N].

A file is written through a mount, sealed and uploaded; the daemon is killed just before one of its
system calls that change files or answer somebody. Whatever the moment, the next daemon on the same
cache and cloud must end with one of two things:

  - the image is active, with every byte of what was sealed, or
  - the client was never told that it is sealed, the image is queued, nothing is left of the staging,
    and it can be written anew.

An undisturbed run tells how many such calls there are; then each position gets a run of its own. Use
a release build: sanitizers make too many calls of their own.
"""
import argparse
import collections
import concurrent.futures
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List, Sequence, Tuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mount"))
sys.dont_write_bytecode = True

from bed import Bed, Failure, check, equal  # noqa: E402
from messages import MIB, Gpg, plaintext  # noqa: E402
from write_bed import (becomes_active, daemon_dies, file_of, part_of, put, queued,  # noqa: E402
                       seal_by_attribute, sealed_in_cache, set_record, staged_files, status_of,
                       write_all)

# Somewhat more than the window, so that ciphertext is staged before the seal and by it.
DATA = plaintext(MIB + 400000, seed=61)
OPTIONS = ("-o", "write_window=1M")
# More calls than this are not killed one after the other but evenly spread, each kind at its first.
MOST_POINTS = 150


# --- what happens under the killer ---

class Scenario:
    killer_options: Sequence[str] = ()

    def __init__(self, bed: Bed):
        self.bed = bed
        self.image = queued(bed)
        self.was_sealed = False

    def prepare(self) -> None:
        """Before the daemon that is killed starts."""

    def drive(self) -> None:
        """The client; an OSError is what it gets when the daemon dies."""
        raise NotImplementedError

    def wait_for_upload(self) -> None:
        def is_over():
            return (status_of(self.bed, self.image) == "active" and not staged_files(self.bed)
                    or self.bed.daemon.poll() is not None)
        self.bed.wait_for(is_over, 30, "the upload to end")


class Write(Scenario):
    """From the open of the file to the active image."""

    killer_options = ("--from-signal",)

    def drive(self) -> None:
        bed, part = self.bed, part_of(self.bed, self.image)
        bed.wait_for(bed.is_mounted, 20, "the mount to appear")
        os.stat(file_of(bed, self.image))
        bed.daemon.send_signal(signal.SIGUSR1)
        time.sleep(0.02)  # until the killer has taken it
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            put(fd, DATA)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(part, file_of(bed, self.image))
        self.was_sealed = True
        self.wait_for_upload()


class Resume(Scenario):
    """A daemon that finds a sealed upload, from its start on."""

    def prepare(self) -> None:
        self.bed.mount(*OPTIONS)
        write_all(part_of(self.bed, self.image), DATA)
        set_record(self.bed, self.image, glancefs_test_status=503)
        seal_by_attribute(self.bed, self.image)
        self.was_sealed = True
        daemon_dies(self.bed)
        set_record(self.bed, self.image, glancefs_test_status=None)

    def drive(self) -> None:
        self.wait_for_upload()


SCENARIOS = {"write": Write, "resume": Resume}


# --- one run ---

def mount_under_killer(scenario: Scenario, at: int, report: Path) -> None:
    bed = scenario.bed
    with open(bed.log, "ab") as log:
        bed.daemon = subprocess.Popen([sys.executable, str(HERE / "killer.py"), "--report", str(report),
                                       "--at", str(at), *scenario.killer_options,
                                       *bed.mount_command(*OPTIONS)],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=bed.tmp)


def disturb(scenario: Scenario, at: int, report: Path) -> None:
    bed = scenario.bed
    mount_under_killer(scenario, at, report)
    try:
        scenario.drive()
    except OSError:
        pass
    if bed.is_mounted():
        subprocess.run(["fusermount3", "-uz", str(bed.mount_point)], check=True)
    bed.daemon.wait(30)
    bed.daemon = None


def half_written(bed: Bed) -> List[str]:
    """In the cloud, and in the cache where it remembers consumers."""
    places = (bed.cloud.path / "images", bed.cloud.path / "secrets", bed.cache / "consumers")
    return [str(path) for place in places for path in place.glob(".*")]


def outcome(scenario: Scenario) -> str:
    """What the next daemon makes of what it finds; a Failure when that is not sound."""
    bed, image = scenario.bed, scenario.image
    was_active = status_of(bed, image) == "active"
    is_sealed = image in sealed_in_cache(bed)
    check(is_sealed or was_active or not scenario.was_sealed, "what was sealed is gone")
    bed.mount(*OPTIONS)
    if is_sealed or was_active:
        becomes_active(bed, image, DATA)
        bed.wait_for(lambda: not staged_files(bed), 10, "the staging directory to be empty")
        bed.wait_for(lambda: not half_written(bed), 10, "half-written files to go")
        if was_active:
            return "active already"
        return "sealed, sent by the next daemon" if scenario.was_sealed else "sealed, but unanswered"
    equal(status_of(bed, image), "queued", "the image's status")
    equal(staged_files(bed), [], "what is left in the staging directory")
    equal(half_written(bed), [], "what is left of files that were being written")
    check(not bed.cloud.data(image).exists(), "the image has data")
    write_all(part_of(bed, image), DATA)
    os.rename(part_of(bed, image), file_of(bed, image))
    becomes_active(bed, image, DATA)
    return "not sealed, written anew"


class Run:
    """One scenario, killed before counted call number `at` (0: not at all)."""

    def __init__(self, kind: type, program: Path, run_directory: Path, at: int):
        self.at, self.reason, self.ending = at, "", ""
        directory = Path(tempfile.mkdtemp(prefix=f"{at}-", dir=run_directory))
        report, bed = directory / "report", Bed(program, directory, run_directory, 1)
        try:
            scenario = kind(bed)
            scenario.prepare()
            disturb(scenario, at, report)
            self.ending = outcome(scenario)
        except (Failure, OSError, subprocess.SubprocessError) as failure:
            self.reason = str(failure)
        try:
            bed.close()
        except Failure as failure:
            self.reason = f"{self.reason}; then {failure}" if self.reason else str(failure)
        self.calls = report.read_text().split() if report.exists() else []
        if self.reason:
            self.reason += f"\n  the daemon's log ends:\n{bed.log_text()[-2000:]}"
        shutil.rmtree(directory, ignore_errors=True)

    def killed_before(self) -> str:
        return self.calls[self.at - 1] if len(self.calls) >= self.at else "nothing: it ended before"


# --- all of them ---

def chosen_points(calls: List[str]) -> List[int]:
    last = len(calls)
    if last <= MOST_POINTS:
        return list(range(1, last + 1))
    points = {calls.index(name) + 1 for name in set(calls)}
    points.update(1 + round(i * (last - 1) / (MOST_POINTS - 1)) for i in range(MOST_POINTS))
    return sorted(points)


def counted(names: Sequence[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(collections.Counter(names).items()))


def run_scenario(name: str, arguments, run_directory: Path) -> Tuple[int, int]:
    """How many runs passed and failed."""
    kind = SCENARIOS[name]
    undisturbed = Run(kind, arguments.glancefs, run_directory, 0)
    if undisturbed.reason or not undisturbed.calls:
        print(f"FAIL {name} undisturbed: {undisturbed.reason or 'no call was counted'}", flush=True)
        return 0, 1
    points = chosen_points(undisturbed.calls)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        runs = list(pool.map(lambda at: Run(kind, arguments.glancefs, run_directory, at), points))
    failed = [run for run in runs if run.reason]
    for run in failed:
        print(f"FAIL {name} killed at {run.at} ({run.killed_before()}): {run.reason}", flush=True)
    print(f"{name}: {len(undisturbed.calls)} calls in an undisturbed run: {counted(undisturbed.calls)}")
    print(f"  killed at {len(points)}, before {counted([run.killed_before() for run in runs])}")
    print(f"  ended: {counted([run.ending for run in runs if not run.reason])}", flush=True)
    return 1 + len(runs) - len(failed), len(failed)


def main() -> int:
    # Or the program starts itself anew (base/process.h), and calls before that would be counted.
    os.environ["LD_BIND_NOW"] = "1"
    parser = argparse.ArgumentParser(description="kill -9 at every moment of a write through a mount.")
    parser.add_argument("--glancefs", type=Path, required=True, help="the program (release build)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--only", choices=sorted(SCENARIOS), help="one scenario")
    arguments = parser.parse_args()
    arguments.glancefs = arguments.glancefs.resolve()
    run_directory = Path(tempfile.mkdtemp(prefix="glancefs-crash-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    passed = failed = 0
    try:
        for name in [arguments.only] if arguments.only else SCENARIOS:
            sound, unsound = run_scenario(name, arguments, run_directory)
            passed, failed = passed + sound, failed + unsound
    finally:
        Gpg(run_directory).stop()
        shutil.rmtree(run_directory, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed else 1


if __name__ == "__main__":
    sys.exit(main())
