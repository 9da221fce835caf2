#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""contrib/glancefs.conf shows every option of the option table, those that have a default with it, and no
other."""
import re
from typing import Iterator

from lint import Finding, main, read
from manual_pages import options_in_code

EXAMPLE = "contrib/glancefs.conf"
SHOWN = re.compile(r"^#?\s?([a-z_]+) = (.*)$", re.MULTILINE)


def check(root) -> Iterator[Finding]:
    table = root / "src/base/config_options.c"
    example = root / EXAMPLE
    named = options_in_code(read(table)) if table.exists() else {}
    shown = dict(SHOWN.findall(read(example)))
    if not named:
        yield Finding(table, 1, "no option table was found here")
    for name in sorted(set(named) - set(shown)):
        yield Finding(example, 1, f"the option {name} is not documented")
    for name in sorted(set(shown) - set(named)):
        yield Finding(example, 1, f"there is no option {name}")
    for name in sorted(set(shown) & set(named)):
        initial = named[name].partition(" [")[2][:-1]
        if initial not in ("", shown[name]):
            yield Finding(example, 1, f"{name} is {initial} by default, not {shown[name]}")


TABLE = '    ROW(cloud, a, "X", "", "b"),\n    ROW_NAMED("mode", b,\n  c, "X", "1", "d"),\n'
BAD = {EXAMPLE: "# Where\ncloud = x\n#mode = 2\n"}
GOOD = {"src/base/config_options.c": TABLE}

if __name__ == "__main__":
    main(check, BAD, GOOD)
