# SPDX-License-Identifier: Apache-2.0
"""Kills a program, or fails one of its system calls, at each of its system calls in turn.

strace(1) does it: a kill comes before the call is carried out, and nothing the process would do
afterwards happens. What a power cut does (losing what was not synced) is not simulated.
"""
import os
import re
import subprocess
import tempfile
from typing import Dict, List, NamedTuple, Optional, Sequence

# What changes files or drops a lock on them: a kill between two of these leaves what a kill at the
# second one leaves. Not every machine has all of them.
FILE_CALLS = ("write,pwrite64,pwritev,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,"
              "ftruncate,open,openat,close,mkdir,mkdirat,rmdir,flock,fcntl,copy_file_range,fallocate,setxattr,"
              "fsetxattr")

TIMEOUT_SECONDS = 30


class Point(NamedTuple):
    """The `number`-th `call` of a thread; `fault` is strace's: "signal=KILL", "error=EIO"."""
    call: str
    number: int
    fault: str

    def __str__(self) -> str:
        return f"{self.call} {self.number} {self.fault}"


class Result(NamedTuple):
    code: int  # 137 when it was killed
    output: str
    errors: str


def _strace(options: Sequence[str], command: Sequence[str], environment: Dict[str, str]) -> Result:
    process = subprocess.run(["strace", "-f", "-qq", *options, *command], env=environment,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             timeout=TIMEOUT_SECONDS, check=False)
    code = 137 if process.returncode < 0 else process.returncode
    return Result(code, process.stdout.decode(errors="replace"), process.stderr.decode(errors="replace"))


def calls_of(command: Sequence[str], environment: Optional[Dict[str, str]] = None,
             calls: str = FILE_CALLS, may_fail: bool = False) -> Dict[str, int]:
    """How often the busiest thread of an undisturbed run makes each call."""
    with tempfile.NamedTemporaryFile("r", errors="replace") as log:
        result = _strace(["-o", log.name, "-e", "trace=" + _known(calls)], command, environment or dict(os.environ))
        if result.code != 0 and not may_fail:
            raise RuntimeError(f"the undisturbed run failed: {result.errors}")
        counts: Dict[tuple, int] = {}
        for line in log:
            match = re.match(r"(\d+)\s+(\w+)\(", line)
            if match:
                counts[match.groups()] = counts.get(match.groups(), 0) + 1
    most: Dict[str, int] = {}
    for (_, call), count in counts.items():
        most[call] = max(most.get(call, 0), count)
    return most


def _known(calls: str) -> str:
    """strace refuses a call that this machine has not, unless it is marked with "?"."""
    return ",".join("?" + call for call in calls.split(","))


def run_with(point: Point, command: Sequence[str], environment: Optional[Dict[str, str]] = None) -> Result:
    inject = f"inject={point.call}:{point.fault}:when={point.number}"
    return _strace(["-o", os.devnull, "-e", "trace=" + point.call, "-e", inject], command,
                   environment or dict(os.environ))


def kill_points(counts: Dict[str, int]) -> List[Point]:
    return [Point(call, number, "signal=KILL") for call, count in sorted(counts.items())
            for number in range(1, count + 1)]


def error_points(counts: Dict[str, int], error: str, calls: Sequence[str]) -> List[Point]:
    return [Point(call, number, "error=" + error) for call in calls
            for number in range(1, counts.get(call, 0) + 1)]
