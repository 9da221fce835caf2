#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Shell scripts pass shellcheck; Python scripts at least compile."""
import json
import subprocess
from typing import Iterator

from lint import Finding, files, main, read


def shell_scripts(root):
    for path in files(root, ""):
        if path.suffix == ".sh" or (not path.suffix and "sh" in read(path).split("\n", 1)[0][:40]
                                    and read(path).startswith("#!")):
            yield path


def check(root) -> Iterator[Finding]:
    for path in shell_scripts(root):
        answer = subprocess.run(["shellcheck", "--format=json", "--external-sources",
                                 f"--source-path={root}", str(path)],
                                capture_output=True, text=True, check=False)
        for complaint in json.loads(answer.stdout or "[]"):
            yield Finding(path, complaint["line"], f"SC{complaint['code']}: {complaint['message']}")
    for path in files(root, ".py"):
        try:
            compile(read(path), str(path), "exec")
        except SyntaxError as error:
            yield Finding(path, error.lineno or 1, f"no valid Python: {error.msg}")


BAD = {"tests/a.sh": "#!/bin/bash\nrm $1\n", ".ci/run": "#!/bin/bash\ncd $HOME\n", "tests/b.py": "def\n"}
GOOD = {"tests/ok.sh": '#!/bin/bash\nrm "$1"\n', "tests/ok.py": "a = 1\n"}

if __name__ == "__main__":
    main(check, BAD, GOOD)
