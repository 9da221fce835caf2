#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the fuzz targets: each on its kept corpus and on, then once more with failing allocations.

    tests/fuzz/run.py --build build/fuzz                    some seconds, as CI does
    tests/fuzz/run.py --build build/fuzz --seconds 60 --keep --coverage

An input that ends a target is left in BUILD/fuzz-finds; it becomes a file in tests/fuzz/corpus, or a
named vector, together with its repair. --keep adds to the corpus what covers more code.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CORPUS = HERE / "corpus"
VECTORS = ROOT / "tests" / "vectors"
# Vectors that serve as seeds, too.
SEEDS = {"fuzz_message": ("openpgp", "openpgp/published")}
LARGEST_INPUT = 16384
LARGEST_KEPT = 4096
EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


def targets(build: pathlib.Path, only: str) -> list[pathlib.Path]:
    names = sorted(path.stem for path in HERE.glob("fuzz_*.c")
                   if "void fuzz_one(" in path.read_text() and path.stem != "fuzz_main")
    return [build / "tests" / "fuzz" / name for name in names if only in name]


def seeds(name: str) -> list[str]:
    folders = [CORPUS / name, *(VECTORS / folder for folder in SEEDS.get(name, ()))]
    return [str(folder) for folder in folders if folder.is_dir()]


class Run:
    """One run of one target."""

    def __init__(self, target: pathlib.Path, fails_allocations: bool):
        self.target = target
        self.fails_allocations = fails_allocations
        self.title = target.name + (" with failing allocations" if fails_allocations else "")
        self.executions = 0
        self.output = ""
        self.passed = False

    def environment(self, profiles: pathlib.Path) -> dict[str, str]:
        environment = dict(os.environ, LLVM_PROFILE_FILE=str(profiles / f"{self.target.name}-%p.profraw"),
                           ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1",
                           UBSAN_OPTIONS="print_stacktrace=1")
        if self.fails_allocations:
            environment["GLANCEFS_FUZZ_FAIL_ALLOCATIONS"] = "1"
        return environment

    def go(self, seconds: int, finds: pathlib.Path, profiles: pathlib.Path, grown: pathlib.Path) -> None:
        grown.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        done = subprocess.run(
            [str(self.target), f"-max_total_time={seconds}", "-timeout=25", "-rss_limit_mb=2048",
             f"-max_len={LARGEST_INPUT}", "-print_final_stats=1", "-verbosity=0",
             f"-artifact_prefix={finds}/{self.target.name}-", str(grown), *seeds(self.target.name)],
            env=self.environment(profiles), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        self.output = done.stdout
        found = EXECUTIONS.search(done.stdout)
        self.executions = int(found.group(1)) if found else 0
        self.passed = done.returncode == 0 and self.executions > 0
        seconds_taken = time.monotonic() - started
        print(f"{'ok  ' if self.passed else 'FAIL'} {self.title}: {self.executions:,} runs in {seconds_taken:.0f} s",
              flush=True)
        if not self.passed:
            print("\n".join(self.output.splitlines()[-60:]), flush=True)


def keep(target: pathlib.Path, grown: pathlib.Path, profiles: pathlib.Path) -> None:
    """Reduces the corpus and what was found to the least that covers the same code."""
    folder = CORPUS / target.name
    with tempfile.TemporaryDirectory() as merged:
        subprocess.run([str(target), "-merge=1", "-timeout=25", f"-max_len={LARGEST_KEPT}", merged,
                        *seeds(target.name), str(grown)],
                       env=dict(os.environ, LLVM_PROFILE_FILE=str(profiles / "merge.profraw")),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in sorted(pathlib.Path(merged).iterdir()):
            shutil.copy(path, folder / path.name[:16])


def report_coverage(programs: list[pathlib.Path], profiles: pathlib.Path) -> None:
    data = profiles / "all.profdata"
    subprocess.run(["llvm-profdata", "merge", "-sparse", "-o", str(data),
                    *map(str, profiles.glob("fuzz_*.profraw"))], check=True)
    objects = [argument for program in programs[1:] for argument in ("-object", str(program))]
    subprocess.run(["llvm-cov", "report", str(programs[0]), *objects, f"-instr-profile={data}",
                    "-show-functions=false", "-show-region-summary=false", "-show-branch-summary=false",
                    str(ROOT / "src")], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, type=pathlib.Path, help="build directory of the preset fuzz")
    parser.add_argument("--seconds", type=int, default=2, help="for each run (default 2)")
    parser.add_argument("--only", default="", help="targets whose name has this in it")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="add what covers more to the corpus")
    parser.add_argument("--coverage", action="store_true", help="print line coverage of each source")
    options = parser.parse_args()
    build = options.build.resolve()
    finds = build / "fuzz-finds"
    finds.mkdir(exist_ok=True)
    programs = targets(build, options.only)
    with tempfile.TemporaryDirectory() as scratch:
        profiles = pathlib.Path(scratch, "profiles")
        profiles.mkdir()
        runs = [Run(program, fails) for program in programs for fails in (False, True)]
        with ThreadPoolExecutor(options.jobs) as pool:
            for run in runs:
                pool.submit(run.go, options.seconds, finds, profiles,
                            pathlib.Path(scratch, run.title.replace(" ", "-")))
        if options.keep:
            for program in programs:
                keep(program, pathlib.Path(scratch, program.name), profiles)
        if options.coverage:
            report_coverage(programs, profiles)
    passed = sum(run.passed for run in runs)
    print(f"{passed} passed, {len(runs) - passed} failed")
    return 0 if passed == len(runs) and runs else 1


if __name__ == "__main__":
    sys.exit(main())
