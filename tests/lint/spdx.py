#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every source file says its licence: C in its first line, scripts in the first two."""
from typing import Iterator

from lint import Finding, files, main, read

C_LINE = "/* SPDX-License-Identifier: Apache-2.0 */"
SCRIPT_LINE = "# SPDX-License-Identifier: Apache-2.0"


def check(root) -> Iterator[Finding]:
    for path in files(root, ".c", ".h"):
        if read(path).splitlines()[:1] != [C_LINE]:
            yield Finding(path, 1, f"the first line must be {C_LINE}")
    for path in files(root, ".py", ".sh", ".ci/run"):
        if SCRIPT_LINE not in read(path).splitlines()[:2]:
            yield Finding(path, 1, f"one of the first two lines must be {SCRIPT_LINE}")


BAD = {"src/base/a.c": "int a;\n", "tests/b.sh": "#!/bin/bash\n"}
GOOD = {"src/base/ok.c": C_LINE + "\nint a;\n", "tests/ok.sh": "#!/bin/bash\n" + SCRIPT_LINE + "\n"}

if __name__ == "__main__":
    main(check, BAD, GOOD)
