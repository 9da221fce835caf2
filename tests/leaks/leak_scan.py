# SPDX-License-Identifier: Apache-2.0
"""Looks for secrets where none may be: in files, raw devices, memory, cores, arguments, traces.

Each secret is looked for as it is and in every usual encoding of it.
"""
import base64
import mmap
import os
import re
from pathlib import Path
from typing import BinaryIO, Dict, Iterator, List, NamedTuple, Optional, Tuple

CHUNK = 4 << 20
SHORTEST = 8  # anything shorter is found anywhere


def base64_forms(secret: bytes) -> Iterator[Tuple[str, bytes]]:
    """In the middle of a longer text: three alignments, without the characters at the edges."""
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + secret)[(0, 2, 3)[shift]:-4]
        yield f"base64, shifted by {shift}", text
        yield f"base64url, shifted by {shift}", text.replace(b"+", b"-").replace(b"/", b"_")


def forms_of(secret: bytes) -> Iterator[Tuple[str, bytes]]:
    yield "raw", secret
    yield "hex", secret.hex().encode()
    yield "HEX", secret.hex().upper().encode()
    yield "reversed", secret[::-1]
    yield from base64_forms(secret)
    if secret.isascii():
        yield "UTF-16LE", secret.decode().encode("utf-16-le")
        yield "UTF-16BE", secret.decode().encode("utf-16-be")


class Secrets:
    """What is looked for; a name for each form, so that a finding does not repeat the secret."""

    def __init__(self, **secrets: bytes):
        self.patterns: Dict[bytes, str] = {}
        for name, secret in secrets.items():
            for form, pattern in forms_of(secret):
                assert len(pattern) >= SHORTEST, f"{name} as {form} is too short to be looked for"
                self.patterns.setdefault(pattern, f"{name} as {form}")
        self.longest = max(map(len, self.patterns))

    def find(self, data: bytes) -> List[str]:
        return [name for pattern, name in self.patterns.items() if pattern in data]

    def find_in_stream(self, stream: BinaryIO, size: Optional[int] = None) -> List[str]:
        """Of a stream, or of its next `size` bytes."""
        found: List[str] = []
        tail = b""
        while size is None or size > 0:
            data = stream.read(CHUNK if size is None else min(CHUNK, size))
            if not data:
                break
            if data.count(0) < len(data):
                found += [name for name in self.find(tail + data) if name not in found]
            tail = data[-self.longest:]
            size = None if size is None else size - len(data)
        return found


# --- files ---

def in_file(secrets: Secrets, path: Path) -> List[str]:
    with open(path, "rb", buffering=0) as stream:
        return [f"{path}: {name}" for name in secrets.find_in_stream(stream)]


def in_files(secrets: Secrets, top: Path) -> List[str]:
    """Everything below a directory, names, links and attributes included."""
    found = []
    for path in [top, *top.rglob("*")]:
        found += [f"{path} (its name): {name}" for name in secrets.find(os.fsencode(path))]
        if path.is_symlink():
            found += [f"{path} (link): {name}" for name in secrets.find(os.fsencode(os.readlink(path)))]
        elif path.is_file():
            found += in_file(secrets, path)
            for attribute in os.listxattr(path):
                value = os.getxattr(path, attribute)
                found += [f"{path} ({attribute}): {name}" for name in secrets.find(value)]
    return found


# --- processes ---

class Region(NamedTuple):
    start: int
    end: int
    permissions: str
    name: str
    flags: Tuple[str, ...]  # VmFlags of smaps: "dd" stays out of cores, "lo" is locked


class Finding(NamedTuple):
    region: Region
    secret: str

    def __str__(self) -> str:
        region = self.region
        return (f"{region.start:x}-{region.end:x} {region.permissions} {region.name or 'anonymous'} "
                f"{' '.join(region.flags)}: {self.secret}")


def regions_of(pid: int) -> Iterator[Region]:
    head = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)")
    match = None
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        match = head.match(line) or match
        if line.startswith("VmFlags:"):
            yield Region(int(match[1], 16), int(match[2], 16), match[3], match[4],
                         tuple(line.split()[1:]))


class Memory:
    """A region as a stream; pages that are not there, or no more, are zeros."""

    def __init__(self, memory: BinaryIO, region: Region):
        self.memory, self.at = memory, region.start

    def read(self, size: int) -> bytes:
        try:
            data = os.pread(self.memory.fileno(), size, self.at)
        except OSError:
            data = bytes(min(size, mmap.PAGESIZE))
        self.at += len(data)
        return data


def in_memory(secrets: Secrets, pid: int) -> List[Finding]:
    """Every readable region, as root sees it whatever PR_SET_DUMPABLE says."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for region in regions_of(pid):
            if "r" not in region.permissions or region.name.startswith(("[vvar", "[vsyscall")):
                continue
            found += [Finding(region, name) for name in
                      secrets.find_in_stream(Memory(memory, region), region.end - region.start)]
    return found


def in_arguments(secrets: Secrets, pid: int) -> List[str]:
    return [f"/proc/{pid}/{what}: {name}" for what in ("cmdline", "environ")
            for name in secrets.find(Path(f"/proc/{pid}/{what}").read_bytes())]


# --- traces of strace -xx -yy ---

# All that carries bytes of a process elsewhere. What moves them between descriptors shows none.
WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendto", "sendmsg", "sendmmsg")
MOVES = ("splice", "tee", "vmsplice", "sendfile", "process_vm_writev", "memfd_create", "memfd_secret",
         "shmget", "shm_open")
NAMES = ("execve", "openat", "rename", "renameat", "renameat2", "linkat", "symlinkat", "setxattr",
         "fsetxattr", "mkdirat", "prctl")


def in_trace(secrets: Secrets, log: Path) -> Dict[str, int]:
    """Where secrets went ("writev to /dev/fuse"), and how often. Calls without a descriptor are told
    by their name, shared writable maps of a file as "mmap of" it."""
    found: Dict[str, int] = {}
    call = re.compile(rb"(?:\d+\s+)?(\w+)\((?:(?:\d+)<([^<>]*))?")
    shared = re.compile(rb"mmap\(.*PROT_WRITE.*MAP_SHARED.*, \d+<([^<>]*)")
    text = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')
    with open(log, "rb") as lines:
        for line in lines:
            start, mapped = call.match(line), shared.search(line)
            if mapped:
                found[f"mmap of {unescape(mapped[1]).decode()}"] = 1
            elif start and start[1].decode() in MOVES:
                found[start[1].decode()] = 1
            elif start:
                data = b"".join(unescape(part) for part in text.findall(line))
                where = f"{start[1].decode()} to {unescape(start[2] or b'').decode(errors='replace')}"
                if secrets.find(data):
                    found[where] = found.get(where, 0) + 1
    return found


def unescape(text: bytes) -> bytes:
    """strace -xx writes each byte as \\xNN, and names of descriptors as they are or likewise."""
    return bytes.fromhex(text.replace(b"\\x", b"").decode()) if text.startswith(b"\\x") else text
