# SPDX-License-Identifier: Apache-2.0
"""Tells what an AppArmor profile allows, and what a traced program did, on machines whose kernel has no
AppArmor: rules about files only, which is what a profile is most often too narrow in."""
import itertools
import os
import re
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Set, Tuple

from check import run

RULE = re.compile(r"^\s*(deny\s+)?(?:owner\s+)?((?:/|@\{)\S*)\s+([a-zA-Z]+),")
VARIABLE = re.compile(r"^\s*@\{(\w+)\}\s*\+?=\s*(.*)$")
GLOB = re.compile(r"\*\*|\*|\?|\{|\}|,|\[[^\]]*\]|\\.|.")
# As globs have it: ** crosses directories, * does not; neither is nothing after a slash.
PATTERNS = {"**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")"}


def pattern_of(glob: str) -> str:
    """The regular expression of a glob without variables."""
    text, depth = "", 0
    for part in GLOB.findall(re.sub("/+", "/", glob)):
        depth += {"{": 1, "}": -1}.get(part, 0)
        if part in ("*", "**") and text.endswith("/"):
            text += "(?=[^/])"
        if part == "," and depth:
            text += "|"
        elif part[0] == "[":
            text += part.replace("[^", "[^/") if part.startswith("[^") else part
        else:
            text += PATTERNS.get(part, re.escape(part.lstrip("\\")))
    return text


class Profile:
    """The file rules of one profile, its includes read."""

    def __init__(self, path: Path):
        text = run(["apparmor_parser", "--preprocess", "--skip-kernel-load", "--quiet", path])
        self.variables: Dict[str, List[str]] = {}
        self.rules: List[Tuple[bool, "re.Pattern[str]", Set[str]]] = []
        for line in text.splitlines():
            variable, rule = VARIABLE.match(line), RULE.match(line)
            if variable:
                values = [value.strip('"') for value in variable[2].split()]
                self.variables.setdefault(variable[1], []).extend(values)
            elif rule:
                self._add(bool(rule[1]), rule[2], rule[3])

    def _add(self, denies: bool, glob: str, access: str) -> None:
        for plain in self._expand(glob):
            self.rules.append((denies, re.compile(pattern_of(plain) + r"\Z"), set(access)))

    def _expand(self, glob: str) -> Iterator[str]:
        names = re.findall(r"@\{(\w+)\}", glob)
        if not names:
            yield glob
            return
        for values in itertools.product(*(self.variables.get(name, [""]) for name in names)):
            rest = glob
            for name, value in zip(names, values):
                rest = rest.replace(f"@{{{name}}}", value, 1)
            yield from self._expand(rest)

    def allows(self, path: str, access: str) -> bool:
        met = [(denies, letters) for denies, pattern, letters in self.rules if pattern.match(path)]
        denied = set().union(*(letters for denies, letters in met if denies))
        allowed = set().union(*(letters for denies, letters in met if not denies))
        return set(access) <= allowed - denied


class Access(NamedTuple):
    path: str
    letters: str


CALL = re.compile(r"^(\d+)\s+(\w+)\((.*)\)\s+= (-?\d+)")
OPEN_AT = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"([^"]*)"')
WRITES = {"mkdir", "mkdirat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "rmdir", "truncate",
          "chmod", "fchmodat", "linkat", "symlinkat", "utimensat"}


def letters_of(call: str, arguments: str) -> str:
    if call in ("open", "openat"):
        if "O_PATH" in arguments:
            return ""
        return {"O_WRONLY": "w", "O_RDWR": "rw"}.get(next(iter(re.findall("O_WRONLY|O_RDWR", arguments)), ""), "r")
    return "w" if call in WRITES else "x" if call == "execve" else ""


def accesses(trace: str) -> Iterator[Access]:
    """What `strace -f -y` saw succeed, by real paths."""
    for line in trace.splitlines():
        call = CALL.match(line)
        if call is None or int(call[4]) < 0:
            continue
        letters = letters_of(call[2], call[3])
        for folder, name in OPEN_AT.findall(call[3]) if letters else ():
            path = os.path.normpath(os.path.join(folder or "/", name))
            path = re.sub("^/proc/(?:thread-)?self(?=/|$)", f"/proc/{call[1]}", path)
            yield Access(os.path.realpath(path) if Path(path).exists() else path, letters)
