# SPDX-License-Identifier: Apache-2.0
"""What the tests of the package share: a list of tests, running programs, telling the outcome."""
import subprocess
import sys
import time
import traceback
from typing import Callable, List, Sequence

Test = Callable[..., None]


class Failed(Exception):
    """What does not hold."""


def expect(holds: object, message: str) -> None:
    if not holds:
        raise Failed(message)


def run(command: Sequence[str], expected: int = 0, **options) -> str:
    """Runs a program and gives what it printed, both streams in their order."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, text=True, timeout=120, check=False, **options)
    if done.returncode != expected:
        raise Failed(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def wait_until(holds: Callable[[], object], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        expect(time.monotonic() < deadline, f"not within {seconds} s: {what}")
        time.sleep(0.02)


def run_tests(tests: List[Test], *arguments) -> int:
    """Runs them in their order; a line each. The number of those that failed."""
    failed = 0
    for test in tests:
        name, started = test.__name__, time.monotonic()
        try:
            test(*arguments)
            print(f"ok   {name} ({time.monotonic() - started:.1f} s)", flush=True)
        except Failed as problem:
            failed += 1
            print(f"FAIL {name}: {problem}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"FAIL {name}:", flush=True)
            traceback.print_exc(file=sys.stdout)
    return failed
