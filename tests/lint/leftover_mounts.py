#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""No test or script leaves a mount of glancefs behind."""
from pathlib import Path
from typing import Iterator

from lint import PROJECT, Finding, main

MOUNTS = "proc/self/mounts"


def check(root) -> Iterator[Finding]:
    path = Path("/") / MOUNTS if root == PROJECT else root / MOUNTS
    for number, line in enumerate(path.read_text().splitlines(), 1):
        source, where, kind = line.split()[:3]
        if kind == "fuse.glancefs" or (kind.startswith("fuse") and "glancefs" in source + where):
            yield Finding(path, number, f"{where} is still mounted")


BAD = {MOUNTS: "proc /proc proc rw 0 0\nlocal:/x /mnt fuse.glancefs ro 0 0\n"}
GOOD = {}

if __name__ == "__main__":
    main(check, BAD, GOOD)
