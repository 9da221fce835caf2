#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Asks three readers about each message: the native engine, GnuPG through the gpgme engine, and RNP. All
of them open it and give the same bytes, or none of them does; where one is known to think otherwise,
differences.py says so, and why. A difference that is expected and does not occur is a failure, too.

Messages are the published vectors, messages of gpg, rnp and sq made on the spot, and those damaged at
every structural point.

Usage: run.py --glancefs PROGRAM [--verbose] [NAME...]     NAME: only messages whose name contains it
Prints one line per failure and at last `N passed, N failed`.
"""
import argparse
import concurrent.futures
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterable, List

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "interop"))

from differences import explain, unused  # noqa: E402
from messages import all_messages  # noqa: E402
from readers import READERS, Bench  # noqa: E402


def judge(bench: Bench, message, verbose: bool) -> str:
    """What is wrong about the readers' answers, or nothing."""
    answers = {name: read(bench, message) for name, read in READERS.items()}
    if verbose:
        print(message.name, *(f"{name}={answer}" for name, answer in answers.items()), flush=True)
    native = answers["native"]
    problems = []
    if message.plain is not None and native.digest != message.plain:
        problems.append(f"native: {native}, though the message is sound")
    for name, answer in answers.items():
        if answer.is_hang:
            problems.append(f"{name} hangs")
        elif answer.digest != native.digest and not explain(message.name, name, answer, native):
            problems.append(f"{name}: {answer}, native: {native}")
    return "; ".join(problems)


def left_processes(folder: Path) -> List[str]:
    """Processes that still work for a reader: their command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if bytes(folder) in line:
                found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


def run_all(bench: Bench, messages: Iterable, verbose: bool) -> int:
    messages, failed = list(messages), 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        futures = {pool.submit(judge, bench, message, verbose): message.name for message in messages}
        for future in concurrent.futures.as_completed(futures):
            if future.exception() is not None or future.result():
                failed += 1
                print(f"FAIL {futures[future]}: {future.exception() or future.result()}", flush=True)
    return failed


def main(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glancefs", required=True)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="glancefs-diff-") as name:
        bench = Bench(Path(name), str(Path(options.glancefs).resolve()))
        try:
            messages = [message for message in all_messages(bench)
                        if not options.names or any(part in message.name for part in options.names)]
        finally:
            bench.close()
        failed = run_all(bench, messages, options.verbose)
        total = len(messages) + 1
        problems = left_processes(bench.runtime) + ([] if options.names else unused())
        if any(bench.homes.iterdir()) or problems:
            failed += 1
            print(f"FAIL afterwards: {'; '.join(problems) or 'files are left in the runtime directory'}")
    print(f"{total - failed} passed, {failed} failed")
    return 1 if failed or total < 2 else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.SubprocessError as problem:
        sys.exit(f"FAIL set-up: {problem}")
