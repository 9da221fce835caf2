#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Black-box tests of a mount: run.py --glancefs PROGRAM [--only NAME] [--jobs N] [--measure]."""
import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

from bed import Bed  # noqa: E402
from messages import Gpg  # noqa: E402
from registry import TESTS  # noqa: E402
from runner import Plan, chosen_tests, load_tests, parse_arguments, run_tests, slowness  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description="Black-box tests of a glancefs mount.")
    parser.add_argument("--measure", action="store_true",
                        help="also the tests that measure memory or a speed (release builds)")
    arguments = parse_arguments(parser)
    load_tests(HERE)
    names = chosen_tests(arguments)
    if not arguments.measure:
        for name in [name for name in names if TESTS[name].measures]:
            print(f"out  {name}: measures, which wants --measure and a release build")
            names.remove(name)
    if arguments.list:
        print("\n".join(names))
        return 0
    run_directory = Path(tempfile.mkdtemp(prefix="glancefs-mount-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        slow = slowness(arguments.glancefs)
        plan = Plan(arguments.glancefs, run_directory,
                    lambda directory: Bed(arguments.glancefs, directory, run_directory, slow))
        return run_tests(names, plan, arguments.jobs, arguments.durations)
    finally:
        Gpg(run_directory).stop()
        shutil.rmtree(run_directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
