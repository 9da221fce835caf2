# SPDX-License-Identifier: Apache-2.0
"""Times, medians, and what everybody else on the machine was doing meanwhile."""
import os
import resource
import statistics
import subprocess
import time
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional, Sequence


class Broken(Exception):
    """A program failed or gave other bytes: the one thing that makes a run of the benchmark fail."""


def require(condition: object, reason: str) -> None:
    if not condition:
        raise Broken(reason)


class Sample(NamedTuple):
    """One round of one row: seconds, or whatever the row's unit is. A row may have no peer."""
    ours: float
    peer: Optional[float] = None


class Spread(NamedTuple):
    median: float
    least: float
    most: float

    @staticmethod
    def of(values: Sequence[float]) -> "Spread":
        return Spread(statistics.median(values), min(values), max(values))


def timed(action: Callable[[], object]) -> float:
    """Seconds that the action takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def run(command: Sequence[object], output: Optional[Path] = None, limit: float = 600) -> None:
    """Runs a command to its end; its output goes to a file or nowhere."""
    words = [str(word) for word in command]
    with open(output or os.devnull, "wb") as stream:
        # close_fds=False lets Python spawn without copying its page tables.
        answer = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.PIPE,
                                timeout=limit, check=False, close_fds=False)
    if answer.returncode != 0:
        raise Broken(f"{' '.join(words)}: exit code {answer.returncode}: "
                     f"{answer.stderr.decode(errors='replace').strip()[-300:]}")


def run_together(command: Sequence[object], count: int, limit: float = 600) -> None:
    """The same command so many times at once."""
    words = [str(word) for word in command]
    children = [subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, close_fds=False) for _ in range(count)]
    codes = [child.wait(limit) for child in children]
    require(not any(codes), f"{' '.join(words)}: exit codes {codes}")


class OthersLoad:
    """How many processors others kept busy while we ran: 0 is a quiet machine."""

    def __init__(self) -> None:
        self.begin = self._now()

    @staticmethod
    def _now() -> List[float]:
        with open("/proc/stat", encoding="ascii") as stat:
            fields = [int(field) for field in stat.readline().split()[1:]]
        ours = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        busy = sum(fields[:3]) + sum(fields[5:8])
        return [time.monotonic(), busy / os.sysconf("SC_CLK_TCK"),
                sum(usage.ru_utime + usage.ru_stime for usage in ours)]

    def processors(self) -> float:
        elapsed, busy, ours = (now - then for now, then in zip(self._now(), self.begin))
        return max(0.0, (busy - ours) / elapsed) if elapsed > 0 else 0.0


def peak_kib(pid: int) -> int:
    """VmHWM of a process and its children, in KiB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        own = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return own + sum(peak_kib(int(child)) for child in children)
