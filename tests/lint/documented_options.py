#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""contrib/glancefs.conf shows every option of the option table, and no other."""
import re
from typing import Iterator

from lint import Finding, main, read

EXAMPLE = "contrib/glancefs.conf"
ROW = re.compile(r'^\s+ROW(?:_NAMED)?\("?([a-z_]+)"?,', re.MULTILINE)
SHOWN = re.compile(r"^#?\s?([a-z_]+) = ", re.MULTILINE)


def check(root) -> Iterator[Finding]:
    table = root / "src/base/config_options.c"
    example = root / EXAMPLE
    named = set(ROW.findall(read(table))) if table.exists() else set()
    shown = set(SHOWN.findall(read(example)))
    if not named:
        yield Finding(table, 1, "no option table was found here")
    for name in sorted(named - shown):
        yield Finding(example, 1, f"the option {name} is not documented")
    for name in sorted(shown - named):
        yield Finding(example, 1, f"there is no option {name}")


BAD = {EXAMPLE: "# Where\ncloud = x\n#old = y\n# old = y\n"}
GOOD = {"src/base/config_options.c": '    ROW(cloud, a),\n    ROW_NAMED("cache", b,\n  c),\n'}

if __name__ == "__main__":
    main(check, BAD, GOOD)
