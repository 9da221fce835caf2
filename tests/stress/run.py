#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A mount and commands on one cache, side by side: run.py --glancefs PROGRAM [--seconds N].

Readers, fetches (some of them killed), evictions, prunes and verifications work on a dozen images in
a cache that holds about half of them, so that eviction never stops. Every byte that a reader gets is
compared; no command may fail but for the reasons that it may have here. In the end nothing is left
over: no download, no trash, no descriptor and no thread of the daemon.
"""
import argparse
import collections
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Callable, Dict, List, Optional

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mount"))
sys.dont_write_bytecode = True

from bed import Bed, Failure, check, equal  # noqa: E402
from messages import KIB, MIB, plaintext  # noqa: E402
from runner import slowness  # noqa: E402

IMAGES = 12
READERS = 3
FETCH_JOBS = 2
LARGEST = 4 * MIB
# All that can be in use at a time fits: readers, fetches with their jobs, one verification.
MAX_SIZE = (READERS + FETCH_JOBS + 1 + 1) * LARGEST


class Counts:
    """What happened, by name; any thread."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts: Dict[str, collections.Counter] = collections.defaultdict(collections.Counter)

    def add(self, who: str, what: str) -> None:
        with self.lock:
            self.counts[who][what] += 1

    def text(self, who: str) -> str:
        return ", ".join(f"{what} {count}" for what, count in sorted(self.counts[who].items()))


class Stress:
    def __init__(self, bed: Bed, seed: int):
        self.bed, self.seed = bed, seed
        self.counts = Counts()
        self.end = 0.0
        self.failures: Dict[str, str] = {}
        self.data: Dict[str, bytes] = {}
        for n in range(IMAGES):
            data = plaintext(LARGEST - (64 + 10 * n) * KIB - n, seed=n)
            self.data[bed.image(data)] = data
        self.images = list(self.data)
        self.environment = {**os.environ, "GLANCEFS_MAX_SIZE": str(MAX_SIZE),
                            "GLANCEFS_MIN_FREE": "0"}

    # --- commands ---

    def command(self, *words: object) -> List[str]:
        return [str(word) for word in (self.bed.program, *words, "--cache", self.bed.cache)]

    def cloud_command(self, *words: object) -> List[str]:
        return self.command(*words, "--cloud", self.bed.cloud.name)

    def run(self, command: List[str], *codes: int) -> subprocess.CompletedProcess:
        answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                                env=self.environment, timeout=self.bed.seconds(60))
        if answer.returncode not in codes:
            raise Failure(f"{' '.join(command[1:])}: exit code {answer.returncode}: "
                          f"{answer.stdout.decode()}{answer.stderr.decode()}")
        return answer

    # --- who works side by side: one turn each ---

    def read(self, dice: random.Random) -> str:
        image = dice.choice(self.images)
        expected = self.data[image]
        step = dice.choice((64 * KIB, MIB, 1000003))
        with open(self.bed.view(image), "rb", buffering=0) as stream:
            at = 0
            while at < len(expected):
                part = stream.read(step)
                check(part, f"{image} ended after {at} of {len(expected)} bytes")
                check(part == expected[at:at + len(part)], f"{image}: other bytes from {at} on")
                at += len(part)
            check(stream.read(1) == b"", f"{image} goes on after its end")
        return "compared"

    def fetch(self, dice: random.Random) -> str:
        images = dice.sample(self.images, dice.randint(1, 3))
        answer = self.run(self.cloud_command("fetch", "--json", "--jobs", FETCH_JOBS, *images), 0)
        results = [json.loads(line)["result"] for line in answer.stdout.splitlines()]
        equal(len(results), len(images), "lines of fetch")
        return results[-1]

    def kill_fetch(self, dice: random.Random) -> str:
        child = subprocess.Popen(self.cloud_command("fetch", dice.choice(self.images)),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, env=self.environment)
        time.sleep(self.bed.seconds(dice.uniform(0.005, 0.08)))
        child.kill()
        return "killed" if child.wait() < 0 else "was faster"

    def evict(self, dice: random.Random) -> str:
        answer = self.run(self.command("cache", "evict", dice.choice(self.images)), 0, 1, 3)
        if answer.returncode == 1:
            check(b"in use" in answer.stderr, f"evict says {answer.stderr!r}")
        return {0: "evicted", 1: "in use", 3: "not there"}[answer.returncode]

    def prune(self, dice: random.Random) -> str:
        if dice.random() < 0.5:
            self.run(self.command("cache", "prune", "--offline"), 0)
            return "offline"
        found = json.loads(self.run(self.cloud_command("cache", "prune", "--json"), 0).stdout)
        equal((found["asked"], found["gone_images"], found["changed_images"]), (True, 0, 0), "prune")
        return "asked"

    def verify(self, _: random.Random) -> str:
        answer = self.run(self.command("cache", "verify", "--json"), 0)
        results = {json.loads(line)["result"] for line in answer.stdout.splitlines()}
        check(results <= {"sound", "gone"}, f"verify found {results}")
        return "verified"

    def weight(self, place: str) -> int:
        """Bytes of disk. Files that are written or removed come and go without the lock."""
        weight = 0
        for folder, folders, files in os.walk(self.bed.cache / place):
            for name in folders + files:
                try:
                    weight += os.lstat(os.path.join(folder, name)).st_blocks * 512
                except FileNotFoundError:
                    pass
        return weight

    def weigh(self, _: random.Random) -> str:
        """While nobody moves or reserves anything: the limit holds at every moment."""
        with open(self.bed.cache / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            used = sum(map(self.weight, ("objects", "partial", "quarantine", "trash")))
        check(used <= MAX_SIZE, f"the cache holds {used} bytes")
        return "under the limit"

    def look(self, _: random.Random) -> str:
        found = json.loads(self.run(self.command("cache", "usage", "--json"), 0).stdout)
        check(found["used_bytes"] <= MAX_SIZE, f"usage tells {found}")
        equal(found["quarantined_objects"], 0, "objects in quarantine")
        for one in json.loads(self.run(self.command("cache", "list", "--json"), 0).stdout):
            check(one["image_id"] in self.data, f"an object of {one['image_id']}")
        return "looked"

    # --- all of them ---

    def work(self, name: str, turn: Callable[[random.Random], str], pause: float) -> None:
        dice = random.Random(f"{self.seed} {name}")
        try:
            while time.monotonic() < self.end and not self.failures:
                self.counts.add(name, turn(dice))
                time.sleep(dice.uniform(0, pause))
        except (Failure, OSError, subprocess.SubprocessError, ValueError) as failure:
            self.failures[name] = f"{type(failure).__name__}: {failure}"
        except Exception:  # one that breaks is told like one that fails
            self.failures[name] = traceback.format_exc()

    def workers(self) -> Dict[str, tuple]:
        return {**{f"reader {n}": (self.read, 0.02) for n in range(1, READERS + 1)},
                "fetch": (self.fetch, 0.02), "killed fetch": (self.kill_fetch, 0.1),
                "evict": (self.evict, 0.05), "prune": (self.prune, 0.6),
                "verify": (self.verify, 0.3), "look": (self.look, 0.1), "weigh": (self.weigh, 0.1)}

    def run_side_by_side(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        threads = [threading.Thread(target=self.work, args=(name, *worker))
                   for name, worker in self.workers().items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # --- afterwards ---

    def resources(self) -> Dict[str, int]:
        process = Path(f"/proc/{self.bed.daemon.pid}")
        return {name: len(os.listdir(process / folder))
                for name, folder in (("descriptors", "fd"), ("threads", "task"))}

    def settle(self, before: Dict[str, int]) -> None:
        """Idle threads end after some seconds."""
        def has_settled() -> bool:
            now = self.resources()
            return all(now[name] <= before[name] for name in before)
        try:
            self.bed.wait_for(has_settled, 30, "the daemon to settle")
        except Failure:
            equal(self.resources(), before, "what the daemon holds")

    def leftovers(self) -> None:
        self.run(self.command("cache", "prune", "--offline"), 0)
        for place in ("partial", "trash", "quarantine"):
            equal(os.listdir(self.bed.cache / place), [], f"what is left in {place}")
        held = [one for one in json.loads(self.run(self.command("cache", "list", "--json"), 0).stdout)
                if one["in_use"]]
        equal(held, [], "objects in use")

    def read_all_images(self) -> None:
        for image, expected in self.data.items():
            check(self.bed.view(image).read_bytes() == expected, f"{image}: other bytes")


def first_reads(stress: Stress) -> Dict[str, int]:
    """What the daemon holds when it has served once and is idle again."""
    image = stress.images[0]
    check(stress.bed.view(image).read_bytes() == stress.data[image], "the first read: other bytes")
    time.sleep(stress.bed.seconds(1))
    return stress.resources()


class Report:
    """How each check went, a line for each."""

    def __init__(self):
        self.passed = self.failed = 0

    def tell(self, name: str, reason: Optional[str], counts: str = "") -> None:
        if reason is None:
            self.passed += 1
            print(f"ok   {name}{': ' + counts if counts else ''}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL {name}: {reason}{'; before: ' + counts if counts else ''}", flush=True)

    def check(self, name: str, action: Callable[[], None]) -> None:
        reason = None
        try:
            action()
        except (Failure, OSError, subprocess.SubprocessError) as failure:
            reason = f"{type(failure).__name__}: {failure}"
        self.tell(name, reason)


def run(bed: Bed, arguments: argparse.Namespace, report: Report) -> None:
    stress = Stress(bed, arguments.seed)
    bed.mount("-o", f"max_size={MAX_SIZE},min_free=0,verify={arguments.verify}")
    before = first_reads(stress)
    stress.run_side_by_side(arguments.seconds)
    for name in stress.workers():
        had_turn = stress.counts.counts[name]
        report.tell(name, stress.failures.get(name) or (None if had_turn else "it had no turn"),
                    stress.counts.text(name))
    report.check("nothing is left over", stress.leftovers)
    report.check("every image can be read", stress.read_all_images)
    report.check("the daemon holds no more than at first", lambda: stress.settle(before))


def main() -> int:
    parser = argparse.ArgumentParser(description="A mount and commands on one cache, side by side.")
    parser.add_argument("--glancefs", type=Path, required=True, help="the program")
    parser.add_argument("--seconds", type=float, default=60, help="how long, by default 60")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of all that is random")
    parser.add_argument("--verify", choices=("first", "stream"), default="first",
                        help="how the mount verifies")
    arguments = parser.parse_args()
    program = arguments.glancefs.resolve()
    run_directory = Path(tempfile.mkdtemp(prefix="glancefs-stress-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"--seconds {arguments.seconds:g} --seed {arguments.seed} --verify {arguments.verify}",
          flush=True)
    bed, report = Bed(program, run_directory, run_directory, slowness(program)), Report()
    try:
        report.check("the run", lambda: run(bed, arguments, report))
    finally:
        report.check("the daemon ends well", bed.close)
        if report.failed:
            print("  the daemon's log ends:\n" + bed.log_text()[-3000:])
        bed.gpg.stop()
        shutil.rmtree(run_directory, ignore_errors=True)
    print(f"{report.passed} passed, {report.failed} failed")
    return 0 if report.failed == 0 and report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
