# SPDX-License-Identifier: Apache-2.0
"""Messages made on the spot by gpg, and hand-made ones that no sound program writes."""
import fcntl
import hashlib
import random
import struct
import subprocess
from pathlib import Path
from typing import Iterator, List, NamedTuple, Tuple

KIB = 1024
MIB = 1024 * KIB

# gpg's own default spends a tenth of a second per derivation; the tests need many.
QUICK = ("--s2k-count", "65536")
UNCOMPRESSED = ("-z0",)


def plaintext(size: int, seed: int = 1) -> bytes:
    """Bytes that do not compress, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def compressible(size: int) -> bytes:
    """Bytes that look like a disk image to a compressor: text, and long runs of zeros."""
    block = b"".join(b"line %d of a file\n" % n for n in range(1000)) + bytes(20000)
    return (block * (size // len(block) + 1))[:size]


class Gpg:
    """gpg with a home of its own; what it makes is kept for the whole run."""

    def __init__(self, home: Path):
        self.home = home / "gnupg"
        self.kept = home / "messages"
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.kept.mkdir(exist_ok=True)

    def encrypt(self, data: bytes, passphrase: bytes, *options: str) -> bytes:
        name = hashlib.sha256(repr((hashlib.sha256(data).digest(), passphrase, options)).encode())
        path = self.kept / name.hexdigest()
        with open(self.kept / "lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                self._make(data, passphrase, options, path)
        return path.read_bytes()

    def _make(self, data: bytes, passphrase: bytes, options: Tuple[str, ...], path: Path) -> None:
        source, key = path.with_suffix(".plain"), path.with_suffix(".key")
        source.write_bytes(data)
        key.write_bytes(passphrase)
        command = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "--quiet",
                   "--no-symkey-cache", "--pinentry-mode", "loopback", "--passphrase-file", str(key),
                   *options, "--symmetric", "--output", str(path), str(source)]
        try:
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        finally:
            source.unlink()
            key.unlink()

    def stop(self) -> None:
        """Ends the agent that gpg started for this home."""
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# --- OpenPGP packets, as far as damaging them needs (RFC 9580 section 4.2) ---

TAG_SKESK = 3
TAG_SYMMETRICALLY_ENCRYPTED = 9
TAG_LITERAL = 11
TAG_SEIPD = 18


class Packet(NamedTuple):
    tag: int
    body: bytes
    body_start: int


def _new_length(data: bytes, at: int) -> Tuple[int, int, bool]:
    """(length, where the body starts, partial) of a new-format length."""
    first = data[at]
    if first < 192:
        return first, at + 1, False
    if first < 224:
        return ((first - 192) << 8) + data[at + 1] + 192, at + 2, False
    if first == 255:
        return struct.unpack_from(">I", data, at + 1)[0], at + 5, False
    return 1 << (first & 31), at + 1, True


def packets(message: bytes) -> Iterator[Packet]:
    at = 0
    while at < len(message):
        header = message[at]
        body, start = b"", 0
        if header & 0x40:
            tag, at, partial = header & 0x3F, at + 1, True
            while partial:
                length, at, partial = _new_length(message, at)
                start = start or at
                body += message[at:at + length]
                at += length
        else:
            tag, form = (header >> 2) & 15, header & 3
            if form == 3:
                start, length = at + 1, len(message) - at - 1
            else:
                width = 1 << form
                length = int.from_bytes(message[at + 1:at + 1 + width], "big")
                start = at + 1 + width
            body, at = message[start:start + length], start + length
        yield Packet(tag, body, start)


def packet(tag: int, body: bytes) -> bytes:
    """One packet with a five-octet length."""
    return bytes([0xC0 | tag, 255]) + struct.pack(">I", len(body)) + body


def literal(data: bytes) -> bytes:
    return packet(TAG_LITERAL, b"b\0\0\0\0\0" + data)


def unprotected(message: bytes) -> bytes:
    """The same message as if it had been written without integrity protection (packet 9)."""
    parts: List[bytes] = []
    for one in packets(message):
        if one.tag == TAG_SEIPD:
            parts.append(packet(TAG_SYMMETRICALLY_ENCRYPTED, one.body[1:]))
        else:
            parts.append(packet(one.tag, one.body))
    return b"".join(parts)


def header_size(message: bytes) -> int:
    """Where the encrypted bytes begin."""
    return next(one.body_start for one in packets(message) if one.tag == TAG_SEIPD)


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


