# SPDX-License-Identifier: Apache-2.0
"""Images to be written through a mount, what becomes of them, and the system calls for it."""
import ctypes
import errno
import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import List, Optional

from bed import Bed, check, equal, raises, same_bytes
from kernel import LIBC

RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_COLLAPSE_RANGE, FALLOC_ZERO_RANGE = 1, 2, 8, 16
AT_FDCWD = -100

STATE = "user.glancefs.state"
SIZE = "user.glancefs.size"
ERROR = "user.glancefs.error"
COMMIT = "user.glancefs.commit"


# --- images and their files ---

def queued(bed: Bed, size: Optional[int] = None, key: Optional[str] = None, **fields: object) -> str:
    """A queued image that names a key; `size` declares os_decrypt_size."""
    return bed.cloud.add_image(None, key or bed.cloud.add_secret(), decrypt_size=size,
                               **{"status": "queued", **fields})


def mounted(bed: Bed, *options: str, size: Optional[int] = None) -> str:
    """A queued image in a mount with these `-o` options."""
    image = queued(bed, size)
    bed.mount(*[word for option in options for word in ("-o", option)])
    return image


def file_of(bed: Bed, image: str) -> Path:
    return bed.mount_point / "encrypt" / image


def part_of(bed: Bed, image: str) -> Path:
    return bed.mount_point / "encrypt" / f"{image}.part"


def state_of(path: Path) -> str:
    return os.getxattr(path, STATE).decode()


def has_state(bed: Bed, path: Path, state: str, limit: float = 30) -> None:
    """The file reaches this state."""
    def now():
        return state_of(path) == state
    try:
        bed.wait_for(now, limit, f"the state {state}")
    except OSError as gone:
        check(False, f"{path.name} is gone while its state was to be {state}: {gone}")


def status_of(bed: Bed, image: str) -> str:
    return bed.cloud.record(image)["status"]


def set_record(bed: Bed, image: str, **fields: object) -> None:
    """Changes the image's record; a field given as None is removed."""
    record = {**bed.cloud.record(image), **fields}
    bed.cloud.write_record(image, {k: v for k, v in record.items() if v is not None})


def set_secret(bed: Bed, key: str, **fields: object) -> None:
    path = bed.cloud.path / "secrets" / f"{key}.json"
    record = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({k: v for k, v in record.items() if v is not None}))


# --- sealing, and what comes of it ---

def seal(bed: Bed, image: str) -> None:
    bed.run("mv", part_of(bed, image), file_of(bed, image))


def seal_by_attribute(bed: Bed, image: str) -> None:
    """Asks no service, unlike a rename, for which the kernel looks the image up."""
    os.setxattr(part_of(bed, image), COMMIT, b"1")


def decrypt(bed: Bed, image: str) -> bytes:
    """What gpg makes of the image's stored bytes."""
    record = bed.cloud.record(image)
    key = bed.cloud.path / "secrets" / f"{record['os_encrypt_key_id']}.payload"
    return bed.run("gpg", "--homedir", bed.gpg.home, "--batch", "--quiet", "--no-symkey-cache",
                   "--pinentry-mode", "loopback", "--passphrase-file", key, "--decrypt",
                   bed.cloud.data(image)).stdout


def becomes_active(bed: Bed, image: str, data: bytes, limit: float = 30) -> None:
    """The image becomes active with a complete message of exactly this plaintext."""
    bed.wait_for(lambda: status_of(bed, image) == "active", limit, "the image to become active")
    record, stored = bed.cloud.record(image), bed.cloud.data(image).read_bytes()
    equal(record["size"], len(stored), "the record's size")
    equal(record["os_hash_value"], hashlib.sha512(stored).hexdigest(), "the record's hash")
    equal(record["os_decrypt_size"], str(len(data)), "the record's os_decrypt_size")
    same_bytes(decrypt(bed, image), data, "what gpg decrypts")


def sealed_in_cache(bed: Bed) -> List[str]:
    """Ids of the images of which a sealed upload lies in the cache."""
    return [path.stem for path in (bed.cache / "staging").glob("*.json")]


def never_active(bed: Bed, image: str) -> None:
    """Nothing of the image is sealed or sent, and no later daemon sends anything either."""
    equal(status_of(bed, image), "queued", "the image's status")
    if bed.daemon is not None:
        equal(bed.stop(), 0, "the daemon's exit code")
    equal(sealed_in_cache(bed), [], "sealed uploads")
    bed.mount()
    equal(status_of(bed, image), "queued", "the image's status after a restart")
    check(not bed.cloud.data(image).exists(), "the image has data")
    equal(staged_files(bed), [], "what is left in the staging directory")


def is_refused_at_seal(bed: Bed, image: str, number: int = errno.EIO) -> None:
    """What was staged cannot be sealed in any way, and the image stays queued."""
    part, target = part_of(bed, image), file_of(bed, image)
    raises(number, lambda: os.rename(part, target), "rename")
    raises(number, lambda: os.setxattr(part, COMMIT, b"1"), "commit")
    answer = bed.run("mv", part, target, code=1)
    check(os.strerror(number) in answer.stderr.decode(), f"mv says {answer.stderr!r}")


def is_poisoned(bed: Bed, image: str) -> None:
    """The staging is poisoned for good: no write, no sync, no seal; the image stays queued."""
    part = part_of(bed, image)
    has_state(bed, part, "poisoned", limit=5)
    check(os.getxattr(part, ERROR), "no reason is given")
    raises(errno.EIO, lambda: os.open(part, os.O_WRONLY), "another open for writing")
    is_refused_at_seal(bed, image)
    equal(state_of(part), "poisoned", "the state after the refused seals")
    never_active(bed, image)


def staged_files(bed: Bed) -> List[Path]:
    staging = bed.cache / "staging"
    return sorted(path for path in staging.iterdir() if path.is_file()) if staging.exists() else []


def write_all(path: Path, data: bytes, flags: int = os.O_WRONLY | os.O_CREAT | os.O_TRUNC) -> None:
    fd = os.open(path, flags, 0o600)
    try:
        put(fd, data)
    finally:
        os.close(fd)


def put(fd: int, data: bytes, offset: int = 0) -> None:
    while data:
        count = os.pwrite(fd, data[:1 << 20], offset)
        data, offset = data[count:], offset + count


def daemon_dies(bed: Bed) -> None:
    """kill -9; the place can be mounted again."""
    bed.daemon.kill()
    bed.daemon.wait()
    bed.daemon = None
    subprocess.run(["fusermount3", "-uz", str(bed.mount_point)], check=True)


# --- system calls ---

def renameat2(source: Path, target: Path, flags: int) -> None:
    if LIBC.renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    if LIBC.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def as_nobody(action) -> int:
    """Runs the action in a child without privileges: 0, or the errno it met."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        try:
            action()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
