#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The manual pages tell what the code knows, and nothing else: every option with its values and default,
every command, each flag of a command's --help, every exit code."""
import re
import sys
from typing import Dict, Iterator, Set

from lint import Finding, main, read, selftest

TABLE = "src/base/config_options.c"
CONF_PAGE, PAGE, MOUNT_PAGE = (f"contrib/man/{name}" for name in ("glancefs.conf.5", "glancefs.1", "glancefs-mount.8"))

LITERAL = r'"((?:\\.|[^"\\\n])*)"'
TOKEN = re.compile(LITERAL + r"|\b([A-Z][A-Z_]{3,})\b")
STRING = re.compile(rf"(?:(?:{LITERAL}|\b[A-Z][A-Z_]{{3,}}\b)\s*)+")
DEFINE = re.compile(r"^#define (\w+)\s((?:.*\\\n)*.*)$", re.MULTILINE)
ROW = re.compile(r"^    ROW(_NAMED)?\((.*?)\),$", re.MULTILINE | re.DOTALL)
ITEM = re.compile(r"^\.It Cm (\w+) Ns = Ns Ar (.+)$", re.MULTILINE)
HELP_FLAG = re.compile(r"^  (?:-\w, )?--([a-z-]+)\b", re.MULTILINE)
COMMAND = re.compile(r'^    \{"(\w+)", ".*", command_\w+\},$', re.MULTILINE)
EXIT_CODE = re.compile(r"^    EXIT_CODE_\w+ = (\d+),", re.MULTILINE)


def text_of(expression: str, macros: Dict[str, str]) -> str:
    """The string that literals and names of strings, one after the other, make."""
    text = ""
    for literal, name in TOKEN.findall(expression):
        others = {other: value for other, value in macros.items() if other != name}
        text += literal or text_of(macros.get(name, ""), others)
    return text.replace("\\n", "\n").replace('\\"', '"')


def macros_of(*texts: str) -> Dict[str, str]:
    """What each #define stands for."""
    return {name: value for text in texts for name, value in DEFINE.findall(text)}


def options_in_code(text: str) -> Dict[str, str]:
    """Each option with its values and default: {"mode": "0400|0440 [0400]"}."""
    found = {}
    macros = macros_of(text)
    for named, row in ROW.findall(text):
        parts = re.findall(r'"(?:\\.|[^"\\])*"|[\w.]+', row)
        name = parts[0].strip('"')
        values, initial = (text_of(part, macros) for part in parts[3 if named else 2:][:2])
        found[name] = f"{values} [{initial}]"
    return found


def options_in_page(text: str) -> Dict[str, str]:
    found = {}
    pieces = ITEM.split(text)
    for name, values, body in zip(pieces[1::3], pieces[2::3], pieces[3::3]):
        default = re.search(r"^Default: (.*)\.$", re.split(r"^\.El", body, flags=re.MULTILINE)[0], re.MULTILINE)
        found[name] = f"{values} [{default[1] if default else ''}]"
    return found


def flags_in_help(root, command: str) -> Set[str]:
    """Flags that stand at the beginning of a line of a command's --help."""
    folder = root / "src/cli"
    sources = [*folder.glob(f"command_{command}.c"), *folder.glob(f"{command}_options.c"),
               *folder.glob(f"command_{command}_*.c")]
    headers = [read(path) for path in (*folder.glob("*.h"), *(root / "include/glancefs").glob("config.h"))]
    found: Set[str] = set()
    for source in map(read, sources):
        macros = macros_of(*headers, source)
        for string in STRING.finditer(source):
            found |= set(HELP_FLAG.findall(text_of(string[0], macros)))
    return found


def flags_in_page(text: str) -> Set[str]:
    return {flag for item in re.findall(r"^\.It .*$", text, re.MULTILINE)
            for flag in re.findall(r"\bFl -([a-z-]+)", item)}


def differences(path, what: str, code, page) -> Iterator[Finding]:
    for name in sorted(set(code) - set(page)):
        yield Finding(path, 1, f"{what} {name} is missing")
    for name in sorted(set(page) - set(code)):
        yield Finding(path, 1, f"there is no {what} {name}")


def check_options(root) -> Iterator[Finding]:
    code, page = options_in_code(read(root / TABLE)), options_in_page(read(root / CONF_PAGE))
    if not code:
        yield Finding(root / TABLE, 1, "no option table was found here")
    yield from differences(root / CONF_PAGE, "option", code, page)
    for name in sorted(set(code) & set(page)):
        if code[name] != page[name]:
            yield Finding(root / CONF_PAGE, 1, f"{name} takes {code[name]}, the page says {page[name]}")


def check_commands(root) -> Iterator[Finding]:
    page = read(root / PAGE)
    commands = COMMAND.findall(read(root / "src/cli/main.c"))
    sections = re.split(r"^\.S[sh] (.*)$", page, flags=re.MULTILINE)
    bodies = dict(zip(sections[1::2], sections[2::2]))
    described = re.search(r"^\.Sh COMMANDS$(.*?)^\.Sh ", page, re.MULTILINE | re.DOTALL)
    named = re.findall(r"^\.Ss (\w+)$", described[1] if described else "", re.MULTILINE)
    yield from differences(root / PAGE, "command", commands, named)
    for command in sorted(set(commands) & set(named)):
        path, text = (root / MOUNT_PAGE, read(root / MOUNT_PAGE)) if command == "mount" else \
            (root / PAGE, bodies[command])
        yield from differences(path, f"flag of {command}, --", flags_in_help(root, command), flags_in_page(text))


def check_exit_codes(root) -> Iterator[Finding]:
    part = re.search(r"^\.Sh EXIT STATUS$(.*?)^\.El", read(root / PAGE), re.MULTILINE | re.DOTALL)
    named = re.findall(r"^\.It (\d+)$", part[1] if part else "", re.MULTILINE)
    yield from differences(root / PAGE, "exit code", EXIT_CODE.findall(read(root / "src/cli/command.h")), named)


def check(root) -> Iterator[Finding]:
    yield from check_options(root)
    yield from check_commands(root)
    yield from check_exit_codes(root)


def sample(options: str, command: str, codes: str) -> Dict[str, str]:
    """A project of one option, one command and one exit code, whose pages say what is given."""
    return {CONF_PAGE: options, MOUNT_PAGE: ".It Fl -f\n",
            PAGE: f".Sh COMMANDS\n.Ss {command}\n.It Fl -a , Fl -b\n.Sh EXIT STATUS\n{codes}.El\n.Sh END\n"}


CODE = {
    TABLE: '#define WORDS "a|b"\nrows[] = {\n    ROW(mode, parse, WORDS, "a",\n        "help"),\n};\n',
    "src/cli/main.c": '    {"go", "do it", command_go},\n',
    "src/cli/command.h": "    EXIT_CODE_OK = 0, /* done */\n",
    "src/cli/command_go.c": '#define HELP "  --b  text\\n"\nhelp[] =\n    "Usage\\n"\n    "  --a  text\\n" HELP;\n',
}
ITEM_OF_MODE = ".It Cm mode Ns = Ns Ar a|b\nText.\nDefault: a.\n.El\n"
RIGHT = {**CODE, **sample(ITEM_OF_MODE, "go", ".It 0\n")}
WRONG = {
    "an option is missing": (CONF_PAGE, sample("", "go", ".It 0\n")),
    "its default is another": (CONF_PAGE, sample(ITEM_OF_MODE.replace(": a", ": b"), "go", ".It 0\n")),
    "its values are others": (CONF_PAGE, sample(ITEM_OF_MODE.replace("a|b", "a"), "go", ".It 0\n")),
    "a flag is missing": (PAGE, {path: text.replace(" , Fl -b", "")
                                 for path, text in sample(ITEM_OF_MODE, "go", ".It 0\n").items()}),
    "a command is another": (PAGE, sample(ITEM_OF_MODE, "come", ".It 0\n")),
    "an exit code is missing": (PAGE, sample(ITEM_OF_MODE, "go", "")),
}


def selftest_all() -> int:
    """Each sample is the right one but for what its name tells."""
    failed = selftest(check, {}, RIGHT)
    for name, (page, pages) in WRONG.items():
        others = {path: text for path, text in {**CODE, **pages}.items() if path != page}
        if selftest(check, {page: pages[page]}, others):
            print(f"selftest: {name}")
            failed = 1
    return failed


if __name__ == "__main__":
    if "--selftest" in sys.argv[1:]:
        sys.exit(selftest_all())
    main(check, {}, {})
