#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Counts test functions in the output of `ctest -V` over cmocka programs, read from a file.

A function passed when cmocka says OK. Everything else that began counts as failed, and so does a
program that failed without a function to blame (a crash before or after, a sanitizer's verdict).
Prints the functions that failed and "N passed, N failed".
"""
import collections
import re
import sys

LINE = re.compile(r"^(\d+): (?:.*?)\[\s*(RUN|OK)\s*\] (\w+)")
VERDICT = re.compile(r"^\s*\d+/\d+ Test\s+#(\d+): (\S+) \.*\s*(.*?)\s+[\d.]+ sec")


def main() -> int:
    begun = collections.defaultdict(list)
    fine = collections.defaultdict(list)
    programs = {}
    with open(sys.argv[1], encoding="utf-8", errors="replace") as stream:
        for line in stream:
            match = LINE.match(line)
            if match:
                (begun if match.group(2) == "RUN" else fine)[match.group(1)].append(match.group(3))
            match = VERDICT.match(line)
            if match:
                programs[match.group(1)] = (match.group(2), match.group(3) == "Passed")
    passed = failed = 0
    for number, (name, is_fine) in programs.items():
        passed += len(fine[number])
        bad = sorted((collections.Counter(begun[number]) - collections.Counter(fine[number])).elements())
        for function in bad:
            print(f"FAIL {name}: {function}")
        if not bad and (not is_fine or not begun[number]):
            bad = [name]
            print(f"FAIL {name}: the program failed or ran nothing")
        failed += len(bad)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed else 1


if __name__ == "__main__":
    sys.exit(main())
