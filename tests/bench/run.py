#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures glancefs against gpg and rnp in the same run, on the same files, and prints ratios.

Usage: run.py --glancefs PROGRAM [--size 1G] [--rounds 5] [--memory-size 4G] [--only NAME...] [--json]

Each row is sampled once per round, ours and the peer's in turn, each time from a fresh process and a
fresh mount, with the files on a tmpfs. Names after --only pick rows that contain one of them; --list
tells the names. A time never fails the run, for a busy machine proves nothing; other bytes or a program
that fails do. Prints at last `N passed, N failed`, rows counted.
"""
import argparse
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Optional

sys.dont_write_bytecode = True

from material import Material  # noqa: E402
from measure import Broken, OthersLoad, Sample, Spread  # noqa: E402
from row import Row  # noqa: E402
from rows import ROWS  # noqa: E402

UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
# A result that others' work may have spoilt, in processors.
BUSY = 0.3


def size_of(text: str) -> int:
    match = re.fullmatch(r"([0-9]+)([KMG]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"no size: {text}")
    return int(match[1]) * UNITS.get(match[2], 1)


class Result:
    """One row's samples, or why there are none."""

    def __init__(self, row: Row):
        self.row = row
        self.samples: List[Sample] = []
        self.loads: List[float] = []
        self.problem = ""

    @property
    def ratio(self) -> Spread:
        return Spread.of([self.row.value(sample) for sample in self.samples])

    def reaches(self, goal: Optional[float]) -> bool:
        if goal is None:
            return False
        return self.ratio.median >= goal if self.row.more_is_better else self.ratio.median <= goal

    def as_json(self) -> Dict[str, object]:
        return {"name": self.row.name, "path": self.row.path, "peer": self.row.peer or None,
                "unit": self.row.unit, "demand": self.row.demand, "stretch": self.row.stretch,
                "problem": self.problem or None, "others": self.loads,
                "samples": [sample._asdict() for sample in self.samples]}


def number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def seconds(values: List[Optional[float]]) -> str:
    spread = Spread.of(values)
    return f"{spread.median:.3f}" if spread.median >= 0.1 else f"{spread.median * 1000:.1f} ms"


def goal_text(row: Row, goal: Optional[float]) -> str:
    if goal is None:
        return ""
    return f"{'≥' if row.more_is_better else '≤'} {number(goal)}"


def verdict(result: Result) -> str:
    if result.reaches(result.row.stretch):
        return "stretch"
    return "met" if result.reaches(result.row.demand) else "missed"


def line_of(result: Result) -> List[str]:
    row = result.row
    if result.problem:
        return [row.path, row.peer, "", "", "BROKEN", "", "", ""]
    has_peer = result.samples[0].peer is not None
    spread = result.ratio
    unit = "" if row.unit in ("x", "of") else f" {row.unit}"
    busy = max(result.loads)
    return [row.path, row.peer, seconds([sample.ours for sample in result.samples]) if has_peer else "",
            seconds([sample.peer for sample in result.samples]) if has_peer else "",
            f"{number(spread.median)}{unit} [{number(spread.least)}–{number(spread.most)}]",
            goal_text(row, row.demand), goal_text(row, row.stretch),
            verdict(result) + (f", others {busy:.1f} CPU" if busy > BUSY else "")]


def print_table(results: List[Result]) -> None:
    head = ["path", "peer", "ours, s", "peer, s", "ratio or value [min–max]", "demand", "stretch", ""]
    lines = [head] + [line_of(result) for result in results]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for at, line in enumerate(lines):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")
        if at == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def guarded(result: Result, action):
    """What the action returns; None once the row is broken."""
    try:
        return None if result.problem else action()
    except (Broken, OSError) as problem:
        result.problem = " ".join(str(problem).split()) or type(problem).__name__
    except Exception as problem:  # pylint: disable=broad-except # the other rows go on
        result.problem = f"{type(problem).__name__}: {problem}"
    return None


def measure(rows: List[Row], material: Material, rounds: int) -> List[Result]:
    """Row by row, so that no more files than its own are in the caches; rounds alternate within."""
    results = []
    for row in rows:
        result = Result(row)
        results.append(result)
        a_round = guarded(result, lambda row=row: row.prepare(material))
        for number_of_round in range(min(rounds, row.most_rounds)):
            load = OthersLoad()
            sample = guarded(result, lambda: a_round(number_of_round % 2 == 0))
            if sample is not None:
                result.samples.append(sample)
                result.loads.append(load.processors())
        print(f"{row.name}: {result.problem or number(result.ratio.median)}", file=sys.stderr, flush=True)
    return results


def parse(arguments: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glancefs", type=lambda text: Path(text).resolve())
    parser.add_argument("--size", type=size_of, default="1G", help="of the plaintext")
    parser.add_argument("--memory-size", type=size_of, default="4G", help="of the image of the memory rows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--tmpfs", type=Path, default=Path("/dev/shm"), help="where the files lie")
    parser.add_argument("--json", action="store_true", help="all samples, instead of the table")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args(arguments)
    if options.glancefs is None and not options.list:
        parser.error("--glancefs is missing")
    return options


def main(arguments: List[str]) -> int:
    options = parse(arguments)
    rows = [row for row in ROWS if any(part in row.name for part in options.only)]
    if options.list:
        print("\n".join(row.name for row in rows))
        return 0
    folder = Path(tempfile.mkdtemp(prefix="glancefs-bench-", dir=options.tmpfs))
    material = Material(options.glancefs, folder, options.size, options.memory_size)
    try:
        results = measure(rows, material, options.rounds)
    finally:
        material.close()
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps([result.as_json() for result in results], indent=1))
    else:
        print_table(results)
    failed = [result for result in results if result.problem]
    for result in failed:
        print(f"FAIL {result.row.name}: {result.problem}")
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
