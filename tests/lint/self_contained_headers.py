#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone, so that the order of includes never matters."""
import subprocess
from typing import Iterator

from lint import Finding, files, main

MODULES = ("fuse3", "libgcrypt", "libcrypto", "json-c", "inih", "zlib", "libsystemd", "cmocka")


def flags_of_libraries():
    answer = subprocess.run(["pkg-config", "--cflags", *MODULES], capture_output=True, text=True,
                            check=True)
    return answer.stdout.split()


def check(root) -> Iterator[Finding]:
    flags = flags_of_libraries()
    for path in files(root, ".h", under=("include", "src", "tests")):
        # The fixtures of a layer's tests include one another.
        above = [f"-I{folder}" for folder in path.parents if folder.is_relative_to(root / "tests/unit")]
        # -include, so that a header is not compiled as a main file with its own complaints
        command = ["gcc", "-std=gnu17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
                   "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", f"-I{root}/include", f"-I{root}/src",
                   f"-I{root}/tests", *above, *flags, "-include", str(path), "-x", "c", "/dev/null"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            first = next((line for line in answer.stderr.splitlines() if "error" in line), "fails")
            yield Finding(path, 1, f"does not compile alone: {first}")


BAD = {"include/glancefs/a.h": "static inline uint8_t a(void)\n{\n    return 0;\n}\n"}
GOOD = {"include/glancefs/ok.h": "#include <stdint.h>\nuint8_t a(void);\n"}

if __name__ == "__main__":
    main(check, BAD, GOOD)
