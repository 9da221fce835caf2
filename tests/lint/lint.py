# SPDX-License-Identifier: Apache-2.0
"""What the lint rules share: which files there are, how an offence is told, the self-test.

A rule is a script with a function check(root) that yields findings, and samples that it must and
must not object to. `rule.py` judges the project, `rule.py --selftest` proves that the rule can
fail.
"""
import re
import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, NamedTuple

PROJECT = Path(__file__).resolve().parents[2]
SKIPPED = {"build", "__pycache__", ".git"}
TOP = ("src", "include", "tests", "contrib", ".ci")


class Finding(NamedTuple):
    path: Path
    line: int
    text: str


def files(root: Path, *suffixes: str, under: Iterable[str] = TOP) -> Iterator[Path]:
    """Files of the project below the named folders whose names end in one of the suffixes."""
    for folder in under:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and not SKIPPED & set(path.relative_to(root).parts):
                if path.name.endswith(suffixes):
                    yield path


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


C_NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def c_code(text: str) -> str:
    """C text with comments and literals blanked, every line where it was."""
    def blank(match: "re.Match[str]") -> str:
        word = match.group(0)
        if word[0] == '"':
            return '""'
        return re.sub(r"[^\n]", " ", word)
    return C_NOISE.sub(blank, text)


def matches(path: Path, text: str, pattern: str, message: str) -> Iterator[Finding]:
    """One finding per match of the pattern; {0} in the message is what matched."""
    for match in re.finditer(pattern, text):
        line = text.count("\n", 0, match.start()) + 1
        yield Finding(path, line, message.format(match.group(0).strip()))


def selftest(check: Callable, bad: Dict[str, str], good: Dict[str, str]) -> int:
    with tempfile.TemporaryDirectory(prefix="glancefs-lint-") as name:
        root = Path(name)
        for path, text in {**good, **bad}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        found = {str(finding.path.relative_to(root)) for finding in check(root)}
    missed, wrong = set(bad) - found, found - set(bad)
    for path in sorted(missed):
        print(f"selftest: the sample {path} is not objected to")
    for path in sorted(wrong):
        print(f"selftest: the sample {path} is objected to")
    return 1 if missed or wrong else 0


def main(check: Callable, bad: Dict[str, str], good: Dict[str, str]) -> None:
    if "--selftest" in sys.argv[1:]:
        sys.exit(selftest(check, bad, good))
    findings = sorted(set(check(PROJECT)))
    for finding in findings:
        path = finding.path
        shown = path.relative_to(PROJECT) if PROJECT in path.parents else path
        print(f"{shown}:{finding.line}: {finding.text}")
    sys.exit(1 if findings else 0)
