# SPDX-License-Identifier: Apache-2.0
"""An image whose plaintext and keys can be found wherever they turn up."""
import os
import re
import secrets
from pathlib import Path
from typing import NamedTuple

from bed import Bed, check, equal
from leak_scan import Secrets
from messages import MIB, QUICK, UNCOMPRESSED
from write_bed import part_of, queued, seal, write_all

SIZE = 3 * MIB + 777


class SecretImage(NamedTuple):
    image: str
    key: str          # its id
    data: bytes       # a marker over and over: every part of it is recognised
    marker: bytes
    payload: bytes    # what the key manager gives
    passphrase: bytes


def marked(marker: bytes, size: int) -> bytes:
    line = marker + b" %08d\n"
    return b"".join(line % at for at in range(size // len(marker) + 1))[:size]


def secret_image(bed: Bed, *options: str) -> SecretImage:
    """Its key is 32 random bytes, whose hex digits are the passphrase, as services of OpenStack make
    them."""
    marker = b"plaintext-marker-" + secrets.token_hex(8).encode()
    payload = secrets.token_bytes(32)
    data = marked(marker, SIZE)
    key = bed.cloud.add_secret(payload, kind="opaque")
    passphrase = payload.hex().encode()
    stored = bed.gpg.encrypt(data, passphrase, *QUICK, *(options or UNCOMPRESSED))
    image = bed.cloud.add_image(stored, key, decrypt_size=len(data))
    return SecretImage(image, key, data, marker, payload, passphrase)


def secrets_of(image: SecretImage, **more: bytes) -> Secrets:
    return Secrets(plaintext=image.marker, key=image.payload, **more)


def session_key(bed: Bed, image: SecretImage, stored: Path = None) -> bytes:
    """The AES key of the message itself, as gpg tells it."""
    (bed.tmp / "key").write_bytes(image.passphrase)
    answer = bed.run("gpg", "--homedir", bed.gpg.home, "--batch", "--no-symkey-cache",
                     "--pinentry-mode", "loopback", "--passphrase-file", bed.tmp / "key",
                     "--show-session-key", "--output", "/dev/null", "--yes", "--decrypt",
                     stored or bed.cloud.data(image.image))
    (bed.tmp / "key").unlink()
    found = re.search(rb"session key: '\d+:([0-9A-F]+)'", answer.stderr)
    check(found, f"gpg tells no session key: {answer.stderr!r}")
    return bytes.fromhex(found[1].decode())


def read_in_every_way(bed: Bed, image: SecretImage) -> None:
    """By programs that read, map, splice, stop early, and start anew."""
    view = bed.view(image.image)
    equal(bed.run("cat", view).stdout == image.data, True, "whether cat reads the plaintext")
    bed.run("sh", "-c", f"pv -q {view} | cat >/dev/null")
    bed.run("sh", "-c", f"head -c 100000 {view} >/dev/null")
    bed.run("dd", f"if={view}", "of=/dev/null", "bs=1000")
    bed.run("tail", "-c", "1000", view, code=None)
    fd = os.open(view, os.O_RDONLY)
    os.posix_fadvise(fd, 0, MIB, os.POSIX_FADV_WILLNEED)
    reader, writer = os.pipe()
    try:
        os.splice(fd, writer, 65536)
    except OSError:
        pass
    for one in (fd, reader, writer):
        os.close(one)


def write_and_seal(bed: Bed, image: SecretImage, **options: object) -> str:
    """The same plaintext under the same key, written through the mount; the new image's id."""
    target = queued(bed, key=image.key, **options)
    write_all(part_of(bed, target), image.data)
    seal(bed, target)
    bed.wait_for(lambda: bed.cloud.record(target)["status"] == "active", 30, "the upload")
    return target
