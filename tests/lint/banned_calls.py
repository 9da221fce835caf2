#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calls that have a safer form, and comparisons of secrets that leak through time."""
import re
from typing import Iterator

from lint import Finding, c_code, files, main, matches, read

BANNED = ("strcpy", "stpcpy", "strcat", "strncat", "sprintf", "vsprintf", "strtok", "strtok_r",
          "atoi", "atol", "atoll", "atof", "gets", "strncpy", "alloca", "system", "popen",
          "tmpnam", "mktemp", "bzero", "bcmp", "signal", "rand", "srand")
CALL = r"(?<![\w.>])(?:" + "|".join(BANNED) + r")\s*\("

COMPARISON = re.compile(r"(?<!\w)memcmp\s*\(([^;]*)")
SECRET = {"key", "keys", "secret", "tag", "tags", "digest", "passphrase", "password", "mdc", "mac",
          "gmac", "token", "payload"}


def arguments(text: str) -> str:
    """The text up to the parenthesis that closes the call."""
    depth = 1
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[:place]
    return text


def check(root) -> Iterator[Finding]:
    for path in files(root, ".c", ".h", under=("src", "include")):
        code = c_code(read(path))
        yield from matches(path, code, CALL, "{0}...) is banned")
        for match in COMPARISON.finditer(code):
            words = set(re.split(r"[^a-z0-9]+", arguments(match.group(1)).lower()))
            if words & SECRET:
                line = code.count("\n", 0, match.start()) + 1
                yield Finding(path, line, "memcmp on a secret: use constant_time_equal")


BAD = {
    "src/base/a.c": "void a(char *b) { strcpy(b, b); }\n",
    "src/base/b.c": "int a(const char *b) { return atoi (b); }\n",
    "src/codec/c.c": "int a(void) { return memcmp(mdc_digest,\n expected, 20); }\n",
    "src/codec/d.c": "void a(void) { char *b = alloca(3); }\n",
}
GOOD = {
    "src/base/ok.c": '/* strcpy(a, b) */ const char *a = "system("; int my_gets(int);\n'
                     "int b(void) { return memcmp(magic, expected, sizeof magic) != 0; }\n",
}

if __name__ == "__main__":
    main(check, BAD, GOOD)
