#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Links in the documentation resolve, the paths it names exist, its lines but those of tables have 120
columns."""
import re
from typing import Iterator

from lint import Finding, files, main, read

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:src|include|tests|contrib|\.ci)/[\w./-]*)`")
COLUMNS = 120


def anchors(text: str):
    """Names that headings get: lower case, blanks to dashes, punctuation dropped."""
    for heading in re.findall(r"^#+\s+(.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def broken_link(path, target: str) -> bool:
    if "://" in target:
        return False
    place, _, anchor = target.partition("#")
    other = path.parent / place if place else path
    if not other.exists():
        return True
    return bool(anchor) and anchor not in anchors(read(other))


def check(root) -> Iterator[Finding]:
    for path in [*files(root, ".md"), *root.glob("*.md")]:
        for number, line in enumerate(read(path).splitlines(), 1):
            if len(line) > COLUMNS and not line.startswith("|"):
                yield Finding(path, number, f"{len(line)} columns, at most {COLUMNS}")
            for target in LINK.findall(line):
                if broken_link(path, target):
                    yield Finding(path, number, f"the link {target} leads nowhere")
            for name in PATH.findall(line):
                if not (root / name).exists():
                    yield Finding(path, number, f"there is no {name}")


BAD = {
    "README.md": "[a](nowhere.md)\n",
    "contrib/doc/a.md": "# Head\n[a](#other)\n",
    "contrib/doc/b.md": "see `src/nothing`\n",
}
GOOD = {"contrib/doc/ok.md": "# One head\n[a](#one-head) [b](a.md) [c](https://example.org/x)\n"}

if __name__ == "__main__":
    main(check, BAD, GOOD)
