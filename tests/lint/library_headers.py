#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A library is named in one layer only: FUSE in src/fuse, crypto in src/crypto, and so on."""
import re
from typing import Iterator

from lint import Finding, files, main, read

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]')

# header pattern: folders that may include it
HOMES = (
    (re.compile(r"(^|/)fuse[^/]*\.h$|linux/fuse\.h$"), ("src/fuse",)),
    (re.compile(r"^gcrypt\.h$|^gpg-error\.h$|^openssl/|^nettle/|^sodium"), ("src/crypto",)),
    (re.compile(r"^json-c/|^json\.h$"), ("src/services", "src/cache", "src/view", "src/cli")),
    (re.compile(r"^ini\.h$"), ("src/base",)),
    (re.compile(r"^systemd/"), ("src/base",)),
    (re.compile(r"^seccomp\.h$|^linux/landlock\.h$"), ("src/base",)),
    (re.compile(r"^gpgme\.h$"), ("src/codec/gpgme",)),
    (re.compile(r"^zlib\.h$|^bzlib\.h$"), ("src/codec",)),
    (re.compile(r"^curl/"), ("src/services/openstack",)),
)


def check(root) -> Iterator[Finding]:
    for path in files(root, ".c", ".h", under=("src", "include")):
        place = path.relative_to(root).as_posix()
        for number, line in enumerate(read(path).splitlines(), 1):
            match = INCLUDE.match(line)
            if not match or '"fuse/' in line:
                continue
            for pattern, homes in HOMES:
                if pattern.search(match.group(1)) and not place.startswith(tuple(
                        home + "/" for home in homes)):
                    yield Finding(path, number,
                                  f"<{match.group(1)}> belongs to {' or '.join(homes)} only")


BAD = {
    "src/view/a.c": "#include <fuse3/fuse_lowlevel.h>\n",
    "src/cli/b.c": "#include <fuse_lowlevel.h>\n",
    "src/cache/c.c": "#include <gcrypt.h>\n",
    "src/codec/d.h": "#include <openssl/evp.h>\n",
    "include/glancefs/e.h": "#include <json-c/json.h>\n",
    "src/codec/openpgp/f.c": "#include <gpgme.h>\n",
}
GOOD = {
    "src/fuse/ok.c": "#include <fuse_lowlevel.h>\n",
    "src/crypto/ok.c": "#include <gcrypt.h>\n#include <openssl/evp.h>\n",
    "src/cli/ok.c": '#include "fuse/fuse_session.h"\n',
}

if __name__ == "__main__":
    main(check, BAD, GOOD)
