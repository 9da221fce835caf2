#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A fresh clone stands alone: nothing in it points out of the tree or at a developer's machine."""
from pathlib import Path
from typing import Iterator

from lint import Finding, files, main, matches, read

OUTSIDE = r"(?:\.\./|/work/)sha" r"red\b|/wor" r"k/main\b|(?<![\w.])/(?:home|root)/\w+"


def check(root) -> Iterator[Finding]:
    top = [path for path in root.iterdir() if path.is_file() and path.suffix in (".md", ".txt", ".json")]
    for path in [*files(root, ".c", ".h", ".py", ".sh", ".txt", ".cmake", ".md", ".conf", ".ci/run"), *top]:
        yield from matches(Path(path), read(path), OUTSIDE, "{0} is outside of the project")


BAD = {"README.md": "see ../sha" "red/design\n", "tests/a.sh": "cd /ho" "me/me\n"}
GOOD = {"contrib/doc/ok.md": "see ../../src/base\n"}

if __name__ == "__main__":
    main(check, BAD, GOOD)
