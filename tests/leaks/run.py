#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Looks for plaintext and keys where none may be: run.py --glancefs PROGRAM [--only NAME] [--jobs N].

Wants root, for memory and disks, and a build without sanitizers, which keep memory of their own.
"""
import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "mount")]
sys.dont_write_bytecode = True

from bed import Bed  # noqa: E402
from messages import Gpg  # noqa: E402
from runner import Plan, chosen_tests, load_tests, parse_arguments, run_tests, slowness  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description="Looks for plaintext and keys where none may be.")
    arguments = parse_arguments(parser)
    load_tests(HERE)
    names = chosen_tests(arguments)
    if arguments.list:
        print("\n".join(names))
        return 0
    if os.geteuid() != 0:
        sys.exit("Only root may look at memory and disks")
    if slowness(arguments.glancefs) != 1:
        sys.exit(f"{arguments.glancefs} has a sanitizer, which keeps memory of its own")
    run_directory = Path(tempfile.mkdtemp(prefix="glancefs-leaks-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        plan = Plan(arguments.glancefs, run_directory,
                    lambda directory: Bed(arguments.glancefs, directory, run_directory, 1))
        return run_tests(names, plan, arguments.jobs, arguments.durations)
    finally:
        Gpg(run_directory).stop()
        shutil.rmtree(run_directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
