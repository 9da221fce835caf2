# SPDX-License-Identifier: Apache-2.0
"""Unit files as they are written, and the groups of system calls that they name."""
import subprocess
from pathlib import Path
from typing import List, Set

UNITS = Path(__file__).resolve().parents[2] / "contrib" / "systemd"


class Unit:
    def __init__(self, name: str):
        self.name = name
        self.path = UNITS / name
        self.settings = [tuple(part.strip() for part in line.split("=", 1))
                         for line in self.path.read_text(encoding="utf-8").splitlines()
                         if "=" in line and not line.startswith(("#", ";"))]

    def values(self, key: str) -> List[str]:
        return [value for name, value in self.settings if name == key]

    def value(self, key: str, default: str = "") -> str:
        return (self.values(key) or [default])[-1]

    def is_on(self, key: str) -> bool:
        return self.value(key) in ("yes", "true", "strict", "closed")

    def allowed_calls(self) -> Set[str]:
        """What SystemCallFilter= leaves, line by line as systemd.exec(5) has it."""
        allowed: Set[str] = _members("@default")
        for line in self.values("SystemCallFilter"):
            words = line.lstrip("~").split()
            calls = set().union(*[_members(word) for word in words])
            allowed = allowed - calls if line.startswith("~") else allowed | calls
        return allowed


def _members(word: str) -> Set[str]:
    if not word.startswith("@"):
        return {word}
    text = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", word], check=True,
                          capture_output=True, text=True).stdout
    lines = [line.strip() for line in text.splitlines()[1:]]
    return set().union(*[_members(line) for line in lines if line and not line.startswith("#")])
