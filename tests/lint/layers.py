#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Includes follow the layers, one way.

A layer sees contracts (include/glancefs), its own headers, base and crypto; of the contracts only
those of the layers it stands on. codec and cache never name each other, nobody names fuse, and
only the program (cli) sees every layer, because it builds them.
"""
import re
from typing import Iterator

from lint import Finding, files, main, read

CONTRACTS = {
    "base": {"error", "cleanup", "cancel", "limits", "config", "cache_limits", "secure_arena", "secure_buffer",
             "byte_cursor", "byte_source", "byte_sink", "sandbox_state", "stage_counter", "limit_use"},
    "services": {"image_record", "identity_service", "image_service", "key_manager", "cloud",
                 "service_counters"},
    "cache": {"ciphertext_cache", "consumer_registry", "upload_staging"},
    "codec": {"codec"},
    "view": {"image_vetting", "image_view", "write_index", "stream_limit"},
}

# layer: (whose contracts it may include, whose private headers)
ALLOWED = {
    "base": ({"base"}, {"base"}),
    "crypto": ({"base"}, {"base", "crypto"}),
    "services": ({"base", "services"}, {"base", "crypto", "services"}),
    "cache": ({"base", "services", "cache"}, {"base", "crypto", "cache"}),
    "codec": ({"base", "codec"}, {"base", "crypto", "codec"}),
    "view": ({"base", "services", "cache", "codec", "view"}, {"base", "crypto", "view"}),
    "fuse": ({"base", "view"}, {"base", "crypto", "fuse"}),
    "cli": (set(CONTRACTS), {"base", "crypto", "fuse", "cli"}),
}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def layer_of_contract(name: str):
    return next((layer for layer, names in CONTRACTS.items() if name in names), None)


def judge(layer: str, included: str):
    """Why `layer` must not include this header, or None."""
    folder, _, rest = included.partition("/")
    contracts, headers = ALLOWED[layer]
    if folder == "glancefs":
        owner = layer_of_contract(rest[:-len(".h")])
        if owner is None:
            return f"the contract {included} stands in no layer of the table in layers.py"
        return None if owner in contracts else f"{layer} includes a contract of {owner}"
    if folder in ALLOWED:
        return None if folder in headers else f"{layer} includes a private header of {folder}"
    return f"{included} names no layer: write <layer>/<file>.h"


def check(root) -> Iterator[Finding]:
    for path in files(root, ".c", ".h", under=("src", "include")):
        parts = path.relative_to(root).parts
        for number, line in enumerate(read(path).splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            if parts[0] == "include":
                if not match.group(1).startswith("glancefs/"):
                    yield Finding(path, number, "a contract includes contracts only")
                continue
            if parts[1] not in ALLOWED:
                yield Finding(path, number, f"src/{parts[1]} is no layer")
                continue
            reason = judge(parts[1], match.group(1))
            if reason:
                yield Finding(path, number, f"{reason}: {match.group(1)}")


BAD = {
    "src/codec/a.c": '#include "glancefs/ciphertext_cache.h"\n',
    "src/cache/b.c": '#include "glancefs/codec.h"\n',
    "src/base/c.c": '#include "crypto/hash.h"\n',
    "src/fuse/d.c": '#include "glancefs/key_manager.h"\n',
    "src/view/e.c": '#include "cache/cache_object.h"\n',
    "src/services/f.c": '#  include "fuse/reply.h"\n',
    "src/codec/g.c": '#include "packet.h"\n',
    "include/glancefs/h.h": '#include "base/log.h"\n',
}
GOOD = {
    "src/codec/openpgp/ok.c": '#include "codec/openpgp/packet.h"\n#include "crypto/hash.h"\n',
    "src/view/ok.c": '#include "glancefs/codec.h"\n#include "glancefs/ciphertext_cache.h"\n',
    "src/cli/main.c": '#include "fuse/session.h"\n#include "glancefs/cloud.h"\n',
}

if __name__ == "__main__":
    main(check, BAD, GOOD)
