#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A struct is written `struct x`: no typedef hides what a thing is."""
from typing import Iterator

from lint import Finding, c_code, files, main, matches, read


def check(root) -> Iterator[Finding]:
    for path in files(root, ".c", ".h"):
        yield from matches(path, c_code(read(path)), r"\btypedef\s+(?:const\s+)?(?:struct|union|enum)\b",
                           "{0}: write the word struct, union or enum instead")


BAD = {"src/base/a.h": "typedef struct a {\n    int b;\n} a_t;\n"}
GOOD = {"src/base/ok.h": "struct a {\n    int b; /* typedef struct */\n};\n"}

if __name__ == "__main__":
    main(check, BAD, GOOD)
