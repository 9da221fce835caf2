#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests against real OpenStack services: run.py --glancefs PROGRAM [--only NAME] [--jobs N] [--stack DIR].

Starts Keystone, Barbican and Glance once (cloud.sh), runs each test with a mount of its own, and takes
everything down again. `--stack` uses, and leaves, services that `cloud.sh start DIR` has brought up.
"""
import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "mount")]
sys.dont_write_bytecode = True

from cloud_bed import CloudBed  # noqa: E402
from messages import Gpg  # noqa: E402
from runner import chosen_tests, load_tests, parse_arguments, run_in_bed, run_tests, slowness  # noqa: E402


def cloud(command: str, directory: Path) -> None:
    subprocess.run([str(HERE / "cloud.sh"), command, str(directory)], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def main() -> int:
    parser = argparse.ArgumentParser(description="Tests of glancefs against real OpenStack services.")
    parser.add_argument("--stack", type=Path, metavar="DIR", help="services that run already")
    arguments = parse_arguments(parser)
    load_tests(HERE)
    if arguments.child:
        return run_in_bed(arguments.child, CloudBed(arguments.glancefs, Path(arguments.directory),
                                                    Path(arguments.run_directory),
                                                    slowness(arguments.glancefs)))
    names = chosen_tests(arguments)
    if arguments.list:
        print("\n".join(names))
        return 0
    run_directory = Path(tempfile.mkdtemp(prefix="glancefs-openstack-"))
    stack = arguments.stack.resolve() if arguments.stack else run_directory / "cloud"
    os.environ["OPENSTACK_STACK"] = str(stack)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        if not arguments.stack:
            cloud("start", stack)
        return run_tests(names, Path(__file__).resolve(), arguments.glancefs, run_directory,
                         arguments.jobs)
    finally:
        if not arguments.stack:
            cloud("stop", stack)
        Gpg(run_directory).stop()
        shutil.rmtree(run_directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
