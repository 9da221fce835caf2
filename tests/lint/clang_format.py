#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""C is laid out as .clang-format says."""
import re
import subprocess
from pathlib import Path
from typing import Iterator

from lint import PROJECT, Finding, files, main

COMPLAINT = re.compile(r"^(.+?):(\d+):\d+: error: ")


def check(root) -> Iterator[Finding]:
    paths = list(files(root, ".c", ".h"))
    answer = subprocess.run(
        ["clang-format", f"--style=file:{PROJECT}/.clang-format", "--dry-run", "--Werror",
         *map(str, paths)], capture_output=True, text=True, check=False)
    for line in answer.stderr.splitlines():
        match = COMPLAINT.match(line)
        if match:
            yield Finding(Path(match.group(1)), int(match.group(2)),
                          "not laid out as .clang-format says")


BAD = {"src/base/a.c": "int  a ;\n"}
GOOD = {"src/base/ok.c": "int a;\n"}

if __name__ == "__main__":
    main(check, BAD, GOOD)
