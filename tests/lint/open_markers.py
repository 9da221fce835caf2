#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is left to do stands in the issue tracker, not in the tree."""
from typing import Iterator

from lint import Finding, files, main, matches, read

MARKERS = r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b"


def check(root) -> Iterator[Finding]:
    for path in files(root, ".c", ".h", ".py", ".sh", ".txt", ".cmake", ".md", ".conf"):
        yield from matches(path, read(path), MARKERS, "{0} is left open")


BAD = {"src/base/a.c": "/* TO" "DO: more */\n", "contrib/doc/b.md": "FIX" "ME\n"}
GOOD = {"src/base/ok.c": 'char name[] = "aXX' 'XXXX";\n'}

if __name__ == "__main__":
    main(check, BAD, GOOD)
