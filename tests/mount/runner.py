# SPDX-License-Identifier: Apache-2.0
"""Runs tests of a registry, each in a process, a session and a directory of its own.

The process is a fork of the runner: to start Python anew costs more than most tests. Whatever happens
to a test, its mounts are undone and its daemon ended afterwards; one that left something behind has
failed.
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
from typing import Callable, Iterator, List, NamedTuple, Optional

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
    parser.add_argument("--durations", type=int, default=0, metavar="N",
                        help="tell the N slowest tests, with the CPU time of all their processes")
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


class Result(NamedTuple):
    name: str
    is_good: bool
    seconds: float
    cpu_seconds: float  # of the test and of all that it started and waited for


class Plan(NamedTuple):
    """What the tests of one run have in common."""
    program: Path
    run_directory: Path
    make_bed: Callable[[Path], Bed]  # of a directory


class Running:
    def __init__(self, name: str, plan: Plan):
        self.name, self.program = name, plan.program
        self.directory = Path(tempfile.mkdtemp(prefix="t-", dir=plan.run_directory))
        self.output = open(self.directory / "output", "w+", encoding="utf-8", errors="replace")
        self.started = time.monotonic()
        self.limit = TESTS[name].limit * slowness(plan.program)
        self.code: Optional[int] = None
        self.cpu_seconds = 0.0
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._be_the_test(plan)

    def _be_the_test(self, plan: Plan) -> None:
        """Never returns: what follows the fork is the runner's."""
        code = 1
        try:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            with open(os.devnull, "rb") as nothing:
                os.dup2(nothing.fileno(), 0)
            for descriptor in (1, 2):
                os.dup2(self.output.fileno(), descriptor)
            code = run_in_bed(self.name, plan.make_bed(self.directory))
        except BaseException:  # also what ends a program must not end in the runner's code
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def wait(self, options: int = 0) -> None:
        pid, status, usage = os.wait4(self.pid, options)
        if pid != 0:
            self.code = os.waitstatus_to_exitcode(status)
            self.cpu_seconds = usage.ru_utime + usage.ru_stime

    def is_over(self) -> bool:
        self.wait(os.WNOHANG)
        return self.code is not None or time.monotonic() - self.started > self.limit

    def kill(self) -> None:
        # Unmounting first wakes whoever hangs in the mount, so that SIGKILL can act.
        clean_up(self.program, self.directory)
        os.killpg(self.pid, signal.SIGKILL)
        self.wait()

    def finish(self) -> Result:
        reasons = []
        if self.code is None:
            reasons.append(f"not finished after {self.limit} s")
            self.kill()
        left = clean_up(self.program, self.directory)
        if left:
            reasons.append("left behind: " + ", ".join(left))
        self.output.seek(0)
        text = self.output.read().strip()
        self.output.close()
        seconds = time.monotonic() - self.started
        is_good = self.code == 0 and not reasons
        if not is_good:
            print(f"FAIL {self.name}: {'; '.join(reasons + [text])}", flush=True)
        else:
            print(f"ok   {self.name} ({seconds:.2f} s)", flush=True)
            if text:
                print(f"     {text}".replace("\n", "\n     "), flush=True)
        return Result(self.name, is_good, seconds, self.cpu_seconds)


def run_some(names: List[str], plan: Plan, jobs: int) -> List[Result]:
    results, running, waiting = [], [], list(names)
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(Running(waiting.pop(0), plan))
            for one in [one for one in running if one.is_over()]:
                running.remove(one)
                results.append(one.finish())
                remove_tree(one.directory)
            time.sleep(0.01)
    finally:
        for one in running:
            one.kill()
    return results


def tell_durations(results: List[Result], count: int) -> None:
    print(f"{sum(one.cpu_seconds for one in results):.1f} s of CPU time in all; the {count} slowest:")
    for one in sorted(results, key=lambda one: one.seconds, reverse=True)[:count]:
        print(f"{one.seconds:7.2f} s, CPU {one.cpu_seconds:6.2f} s  {one.name}")


def run_tests(names: List[str], plan: Plan, jobs: int, durations: int) -> int:
    """Runs them and prints the sum; the exit code. What measures time, or disturbs others, runs
    alone."""
    alone = [name for name in names if TESTS[name].alone]
    results = run_some([name for name in names if name not in alone], plan, jobs)
    results += run_some(alone, plan, 1)
    if durations:
        tell_durations(results, durations)
    failed = sum(not one.is_good for one in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 0 if failed == 0 and names else 1
