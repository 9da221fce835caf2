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


CALL = re.compile(r"^(\w+)\((.*)\)\s+= (-?\d+)")
PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"([^"]*)"')
OPENS = ("open", "openat", "openat2")
WRITES = ("mkdir", "mkdirat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "rmdir", "truncate",
          "chmod", "fchmodat", "linkat", "symlinkat", "connect", "bind")
# What strace is to look at.
TRACED = (*("?" + call for call in (*OPENS, *WRITES)), "execve")


def letters_of(call: str, arguments: str) -> str:
    if call in OPENS:
        if "O_PATH" in arguments:
            return ""
        return "rw" if re.search(r"\bO_(WRONLY|RDWR|CREAT)\b", arguments) else "r"
    return "x" if call == "execve" else "w"


def accesses(trace: str, process: str, root: Path) -> Iterator[Access]:
    """What `strace -ff -y` of a process below `root` saw succeed, with real paths; directories end in /."""
    for line in trace.splitlines():
        call = CALL.match(line)
        letters = letters_of(call[1], call[2]) if call and int(call[3]) >= 0 else ""
        # Of what is executed and connected to, the rest is arguments.
        paths = PATH.findall(call[2])[:1 if call[1] == "execve" else None] if letters else ()
        for folder, name in paths:
            path = os.path.normpath(os.path.join(folder or "/", name))
            path = re.sub("^/proc/(?:thread-)?self(?=/|$)", f"/proc/{process}", path)
            if Path(path).exists():
                path = os.path.realpath(path)
            # /proc of a process that has ended is not there any more.
            is_directory = (root / path[1:]).is_dir() or "O_DIRECTORY" in call[2]
            yield Access(path + "/" * is_directory, letters)
