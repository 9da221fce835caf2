#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A function has at most 100 lines, a file at most 600; a file of tests, being a list, 800."""
import re
from typing import Iterator

from lint import Finding, files, main, read

FUNCTION_LINES = 100
FILE_LINES = 600
TEST_FILE_LINES = 800
# `name(...)` at the left margin begins a function whose brace stands alone below it.
HEAD = re.compile(r"^\w[^;=]*?(\w+)\(")


def functions(lines):
    """(name, first line, number of lines) of each function body."""
    head, start = "", 0
    for number, line in enumerate(lines, 1):
        match = HEAD.match(line)
        if match:
            head = match.group(1)
        if line == "{":
            start = number
        elif line == "}" and start:
            yield head, start, number - start + 1
            start = 0


def check(root) -> Iterator[Finding]:
    for path in files(root, ".c", ".h"):
        lines = read(path).splitlines()
        limit = TEST_FILE_LINES if path.is_relative_to(root / "tests") else FILE_LINES
        if len(lines) > limit:
            yield Finding(path, len(lines), f"{len(lines)} lines, at most {limit}")
        for name, start, count in functions(lines):
            if count > FUNCTION_LINES:
                yield Finding(path, start, f"{name} has {count} lines, at most {FUNCTION_LINES}")


BAD = {
    "src/base/a.c": "int a(void)\n{\n" + "    b();\n" * 100 + "}\n",
    "src/base/b.c": "int a;\n" * 601,
    "tests/unit/c.c": "int a;\n" * 801,
}
GOOD = {"src/base/ok.c": "int a(void)\n{\n" + "    b();\n" * 98 + "}\n"}

if __name__ == "__main__":
    main(check, BAD, GOOD)
