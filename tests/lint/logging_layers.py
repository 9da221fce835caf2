#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The core never logs above debug: whoever answers a failure writes its one line."""
from typing import Iterator

from lint import Finding, c_code, files, main, matches, read

CALLS = (r"(?<!\w)(?:log_error|log_warning|log_info|log_write|perror|vfprintf|syslog|sd_journal_\w+|"
         r"fprintf|printf|puts)\s*\(")
ALLOWED = ("src/fuse/", "src/cli/", "src/base/log.")


def check(root) -> Iterator[Finding]:
    for path in files(root, ".c", ".h", under=("src", "include")):
        if not path.relative_to(root).as_posix().startswith(ALLOWED):
            yield from matches(path, c_code(read(path)), CALLS, "{0}...) in the core")


BAD = {
    "src/cache/a.c": 'void a(void) { log_error("b"); }\n',
    "src/base/b.c": "void a(void) { fprintf(stderr, b); }\n",
}
GOOD = {
    "src/cache/ok.c": 'void a(void) { log_debug("b"); snprintf(b, 1, c); }\n',
    "src/fuse/ok.c": 'void a(void) { log_error("b"); }\n',
}

if __name__ == "__main__":
    main(check, BAD, GOOD)
