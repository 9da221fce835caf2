# SPDX-License-Identifier: Apache-2.0
"""Runs tests of a registry, each in a process, a session and a directory of its own.

Whatever happens to a test, its mounts are undone and its daemon ended afterwards; one that left
something behind has failed.
"""
import argparse
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Iterator, List

from bed import Bed, Failure, mounted_below, remove_tree
from registry import TESTS


def load_tests(folder: Path) -> None:
    for path in sorted(folder.glob("test_*.py")):
        importlib.import_module(path.stem)


def parse_arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    parser.add_argument("--glancefs", type=Path, required=True, help="the program to test")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="only tests whose name contains this (may be given more than once)")
    parser.add_argument("--jobs", type=int, default=2, help="tests at a time")
    parser.add_argument("--list", action="store_true", help="print the names only")
    for hidden in ("--child", "--directory", "--run-directory"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.glancefs = arguments.glancefs.resolve()
    if not os.access(arguments.glancefs, os.X_OK):
        sys.exit(f"{arguments.glancefs} is no program")
    return arguments


def chosen_tests(arguments: argparse.Namespace) -> List[str]:
    return [name for name in TESTS
            if not arguments.only or any(part in name for part in arguments.only)]


def slowness(program: Path) -> int:
    """By how much a sanitizer stretches every limit."""
    text = program.read_bytes()
    return 6 if b"__asan_init" in text or b"__tsan_init" in text else 1


# --- one test, in its own process ---

def run_in_bed(name: str, bed: Bed) -> int:
    reason = None
    try:
        TESTS[name].function(bed)
    except Failure as failure:
        reason = str(failure)
    except Exception:  # a test that breaks is told like one that fails
        reason = traceback.format_exc()
    try:
        bed.close()
    except Failure as failure:
        reason = f"{reason}; then {failure}" if reason else str(failure)
    if reason is None:
        return 0
    print(reason)
    log = bed.log_text().splitlines()
    if log:
        print("  the daemon's log ends:\n    " + "\n    ".join(log[-40:]))
    return 1


# --- the runner ---

def our_daemons(program: Path, directory: Path) -> Iterator[int]:
    """Processes of this program that this test started: they name its directory."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.readlink(entry / "exe") != str(program):
                continue
            if str(directory).encode() in (entry / "cmdline").read_bytes():
                yield int(entry.name)
        except OSError:
            continue


def clean_up(program: Path, directory: Path) -> List[str]:
    """Undoes what the test left; tells what that was."""
    left = []
    for place in reversed(mounted_below(directory)):
        left.append(f"mount {place}")
        subprocess.run(["fusermount3", "-uz", place], check=False)
    # A daemon that was unmounted ends by itself, a moment later.
    end = time.monotonic() + 5
    while any(our_daemons(program, directory)) and not left and time.monotonic() < end:
        time.sleep(0.02)
    for pid in our_daemons(program, directory):
        left.append(f"process {pid}")
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return left


class Running:
    def __init__(self, script: Path, name: str, program: Path, run_directory: Path):
        self.name, self.program = name, program
        self.directory = Path(tempfile.mkdtemp(prefix="t-", dir=run_directory))
        self.output = open(self.directory / "output", "w+", encoding="utf-8", errors="replace")
        self.started = time.monotonic()
        self.limit = TESTS[name].limit * slowness(program)
        self.child = subprocess.Popen(
            [sys.executable, str(script), "--glancefs", str(program), "--child", name,
             "--directory", str(self.directory), "--run-directory", str(run_directory)],
            stdout=self.output, stderr=self.output, stdin=subprocess.DEVNULL, start_new_session=True)

    def is_over(self) -> bool:
        return self.child.poll() is not None or time.monotonic() - self.started > self.limit

    def finish(self) -> bool:
        reasons = []
        if self.child.poll() is None:
            reasons.append(f"not finished after {self.limit} s")
            # Unmounting first wakes whoever hangs in the mount, so that SIGKILL can act.
            clean_up(self.program, self.directory)
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
        left = clean_up(self.program, self.directory)
        if left:
            reasons.append("left behind: " + ", ".join(left))
        self.output.seek(0)
        text = self.output.read().strip()
        self.output.close()
        seconds = time.monotonic() - self.started
        if self.child.returncode != 0 or reasons:
            print(f"FAIL {self.name}: {'; '.join(reasons + [text])}", flush=True)
            return False
        print(f"ok   {self.name} ({seconds:.2f} s)", flush=True)
        if text:
            print(f"     {text}".replace("\n", "\n     "), flush=True)
        return True


def run_some(names: List[str], script: Path, program: Path, run_directory: Path, jobs: int) -> int:
    passed, running, waiting = 0, [], list(names)
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(Running(script, waiting.pop(0), program, run_directory))
            for one in [one for one in running if one.is_over()]:
                running.remove(one)
                passed += one.finish()
                remove_tree(one.directory)
            time.sleep(0.01)
    finally:
        for one in running:
            clean_up(one.program, one.directory)
            os.killpg(one.child.pid, signal.SIGKILL)
    return passed


def run_tests(names: List[str], script: Path, program: Path, run_directory: Path, jobs: int) -> int:
    """Runs them and prints the sum; the exit code. What measures time, or disturbs others, runs
    alone."""
    alone = [name for name in names if TESTS[name].alone]
    passed = run_some([name for name in names if name not in alone], script, program, run_directory, jobs)
    passed += run_some(alone, script, program, run_directory, 1)
    failed = len(names) - passed
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and names else 1
