#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the Debian package of a build, looks at it, and installs, uses and removes it in a copy of this
machine's root (an overlay, which vanishes afterwards). Needs root.

Usage: run.py --build DIRECTORY         DIRECTORY: an optimised build, such as build/release
Prints one line per test and at last `N passed, N failed`.
"""
import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import test_staged  # noqa: E402
from check import Failed, run, run_tests  # noqa: E402

# Mounts and daemons end with these namespaces.
NAMESPACES = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc"]


def make_package(build: Path, work: Path) -> Path:
    run(["cpack", "--config", build / "CPackConfig.cmake", "-B", work])
    packages = list(work.glob("*.deb"))
    if len(packages) != 1:
        raise Failed(f"cpack made {packages}")
    return packages[0]


def run_installed_tests(package: Path, work: Path) -> "tuple[int, int]":
    """How many passed and failed; that the tests themselves broke is a failure, too."""
    work.mkdir()
    done = subprocess.run([*NAMESPACES, sys.executable, "-B", HERE / "test_installed.py", package, work],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    print(done.stdout.rsplit("\n", 2)[0], flush=True)
    counts = re.search(r"^(\d+) passed, (\d+) failed$", done.stdout, re.MULTILINE)
    if counts is None:
        print("FAIL the tests in the installed system ended early")
        return 0, 1
    return int(counts[1]), int(counts[2])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=lambda text: Path(text).resolve())
    build = parser.parse_args().build
    with tempfile.TemporaryDirectory(prefix="glancefs-packaging-") as name:
        work = Path(name)
        try:
            package = make_package(build, work / "package")
        except Failed as problem:
            print(f"FAIL the package: {problem}\n0 passed, 1 failed")
            return 1
        failed = run_tests(test_staged.TESTS, test_staged.Staging(build, package, work))
        passed = len(test_staged.TESTS) - failed
        more_passed, more_failed = run_installed_tests(package, work / "machine")
    print(f"{passed + more_passed} passed, {failed + more_failed} failed")
    return 1 if failed + more_failed else 0


if __name__ == "__main__":
    sys.exit(main())
