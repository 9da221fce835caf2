# SPDX-License-Identifier: Apache-2.0
"""The bed of one test: a directory of its own with a local cloud, a cache and a mount."""
import errno
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import time
import uuid
from pathlib import Path
from typing import Callable, List, Optional, Sequence

from messages import QUICK, UNCOMPRESSED, Gpg

SANITIZER_WORDS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer",
                   "runtime error:")
PASSPHRASE = b"correct horse battery staple"


class Failure(Exception):
    """What the test found; its text is the reason that is printed."""


def check(condition: object, reason: str) -> None:
    if not condition:
        raise Failure(reason)


def equal(found: object, expected: object, what: str) -> None:
    check(found == expected, f"{what}: {found!r} instead of {expected!r}")


def same_bytes(found: bytes, expected: bytes, what: str) -> None:
    if found != expected:
        at = next((i for i, (a, b) in enumerate(zip(found, expected)) if a != b),
                  min(len(found), len(expected)))
        raise Failure(f"{what}: {len(found)} bytes instead of {len(expected)}, the first difference "
                      f"at {at}")


class Cloud:
    """A local cloud's directory, its records written by hand."""

    def __init__(self, path: Path):
        self.path, self.name = path, f"local:{path}"
        for name in ("images", "secrets"):
            (path / name).mkdir(parents=True)

    def add_secret(self, payload: Optional[bytes] = PASSPHRASE, kind: str = "passphrase",
                   **fields: object) -> str:
        secret = str(uuid.uuid4())
        record = {"secret_ref": f"http://localhost/v1/secrets/{secret}", "name": "test",
                  "status": "ACTIVE", "secret_type": kind, "algorithm": None, "bit_length": None,
                  "mode": None, "content_types": {"default": "application/octet-stream"},
                  "created": "2024-05-06T07:08:09", "updated": "2024-05-06T07:08:09",
                  "expiration": None, **fields}
        (self.path / "secrets" / f"{secret}.json").write_text(json.dumps(record))
        if payload is not None:
            (self.path / "secrets" / f"{secret}.payload").write_bytes(payload)
        return secret

    def add_image(self, data: Optional[bytes], key: Optional[str], decrypt_size: Optional[int] = None,
                  image: Optional[str] = None, **fields: object) -> str:
        """A record for these stored bytes; a field given as None is left out."""
        image = image or str(uuid.uuid4())
        record = {"id": image, "name": "test image", "status": "active", "visibility": "private",
                  "disk_format": "raw", "container_format": "encrypted", "min_disk": 0, "min_ram": 0,
                  "protected": False, "os_hidden": False, "tags": [],
                  "created_at": "2024-05-06T07:08:09Z", "updated_at": "2024-05-06T07:08:09Z",
                  "os_encrypt_format": "GPG", "os_encrypt_type": "symmetric",
                  "os_encrypt_cipher": "AES256", "os_decrypt_container_format": "bare"}
        if key is not None:
            record["os_encrypt_key_id"] = key
        if decrypt_size is not None:
            record["os_decrypt_size"] = str(decrypt_size)
        if data is not None:
            record.update(size=len(data), checksum=hashlib.md5(data).hexdigest(),
                          os_hash_algo="sha512", os_hash_value=hashlib.sha512(data).hexdigest())
            self.data(image).write_bytes(data)
        record.update(fields)
        self.write_record(image, {k: v for k, v in record.items() if v is not None})
        return image

    def data(self, image: str) -> Path:
        return self.path / "images" / f"{image}.data"

    def record(self, image: str) -> dict:
        return json.loads((self.path / "images" / f"{image}.json").read_text())

    def write_record(self, image: str, record: dict) -> None:
        path = self.path / "images" / f"{image}.json"
        path.with_suffix(".new").write_text(json.dumps(record))
        path.with_suffix(".new").rename(path)

    def remove(self, image: str) -> None:
        for suffix in (".json", ".data"):
            (self.path / "images" / (image + suffix)).unlink()


class Bed:
    def __init__(self, program: Path, directory: Path, run_directory: Path, slowness: int):
        self.program = program
        self.tmp = directory
        self.gpg = Gpg(run_directory)
        self.slowness = slowness  # 1, or by how much a sanitizer stretches every limit
        self.cloud = self.open_cloud()
        self.cache = directory / "cache"
        self.target = directory / "target"
        self.target.mkdir()
        self.mount_point = directory / "mount"
        self.mount_point.mkdir()
        self.log = directory / "daemon.log"
        self.daemon: Optional[subprocess.Popen] = None
        self.children: List[subprocess.Popen] = []

    def open_cloud(self):
        return Cloud(self.tmp / "cloud")

    # --- images ---

    def image(self, data: bytes, *options: str, declared: bool = True, **fields: object) -> str:
        """An image that gpg encrypted (uncompressed unless options say more) under PASSPHRASE."""
        stored = self.gpg.encrypt(data, PASSPHRASE, *QUICK, *(options or UNCOMPRESSED))
        return self.cloud.add_image(stored, self.cloud.add_secret(),
                                    decrypt_size=len(data) if declared else None, **fields)

    def view(self, image: str) -> Path:
        return self.mount_point / "decrypt" / image

    # --- the daemon ---

    def seconds(self, limit: float) -> float:
        return limit * self.slowness

    def mount_command(self, *arguments: str, foreground: bool = True) -> List[str]:
        command = [str(self.program), "mount", "--cloud", self.cloud.name, "--cache", str(self.cache),
                   *arguments]
        return command + (["-f"] if foreground else []) + [str(self.mount_point)]

    def mount(self, *arguments: str, command: Optional[Sequence[str]] = None) -> None:
        """Starts a daemon in the foreground and waits until the mount answers."""
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen(command or self.mount_command(*arguments),
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           cwd=self.tmp)
        self.wait_for(lambda: self.is_mounted() or self.daemon.poll() is not None, 20,
                      "the mount to appear")
        check(self.is_mounted(), f"no mount: exit code {self.daemon.poll()}, {self.log_text()!r}")

    def is_mounted(self) -> bool:
        return str(self.mount_point) in mounted_below(self.tmp)

    def stop(self, limit: float = 20) -> int:
        """SIGTERM; the daemon's exit code."""
        self.daemon.send_signal(signal.SIGTERM)
        return self.wait_daemon(limit)

    def wait_daemon(self, limit: float = 20) -> int:
        try:
            code = self.daemon.wait(self.seconds(limit))
        except subprocess.TimeoutExpired as late:
            raise Failure(f"the daemon did not end within {self.seconds(limit)} s") from late
        self.daemon = None
        return code

    def unmount(self) -> None:
        subprocess.run(["fusermount3", "-u", str(self.mount_point)], check=True)

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def close(self) -> None:
        """Ends what is left; a daemon that does not end well is a failure."""
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        reason = None
        if self.daemon is not None and self.daemon.poll() is None:
            try:
                code = self.stop()
                reason = f"the daemon ended with {code}" if code != 0 else None
            except Failure as failure:
                reason = str(failure)
        elif self.daemon is not None:
            reason = f"the daemon had ended with {self.daemon.returncode}"
        if self.is_mounted():
            subprocess.run(["fusermount3", "-uz", str(self.mount_point)], check=False)
            reason = reason or "the mount was left behind"
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait()
        words = [word for word in SANITIZER_WORDS if word in self.log_text()]
        check(not words, f"the daemon's log holds {words}")
        check(reason is None, reason or "")

    # --- doing things ---

    def wait_for(self, condition: Callable[[], bool], limit: float, what: str) -> None:
        end = time.monotonic() + self.seconds(limit)
        while not condition():
            check(time.monotonic() < end, f"waited in vain for {what}")
            time.sleep(0.005)

    def run(self, *command: object, code: Optional[int] = 0, limit: float = 60,
            **options: object) -> subprocess.CompletedProcess:
        """Runs a command, its output kept; `code` is the exit code it must have."""
        words = [str(word) for word in command]
        try:
            answer = subprocess.run(words, capture_output=True, timeout=self.seconds(limit),
                                    cwd=self.tmp, check=False,
                                    **{"stdin": subprocess.DEVNULL, **options})
        except subprocess.TimeoutExpired as late:
            raise Failure(f"{' '.join(words)} did not end") from late
        if code is not None and answer.returncode != code:
            raise Failure(f"{' '.join(words)}: exit code {answer.returncode} instead of {code}: "
                          f"{answer.stderr.decode(errors='replace').strip()}")
        return answer

    def start(self, *command: object, **options: object) -> subprocess.Popen:
        """Starts a command that the bed ends when nobody else does."""
        child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                 **{"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options})
        self.children.append(child)
        return child

    def glancefs(self, *arguments: object, code: Optional[int] = 0,
                 **options: object) -> subprocess.CompletedProcess:
        return self.run(self.program, *arguments, code=code, **options)

    def refused(self, image: str, number: int, *log_words: str) -> None:
        """open(2) fails with this errno, cp leaves nothing, cat shows nothing, the log says why."""
        view = self.view(image)
        raises(number, lambda: os.close(os.open(view, os.O_RDONLY)), f"open of {image}")
        target = self.target / "copy"
        answer = self.run("cp", view, target, code=1)
        check(os.strerror(number) in answer.stderr.decode(), f"cp says {answer.stderr!r}")
        check(not target.exists(), "cp left a target behind")
        same_bytes(self.run("cat", view, code=1).stdout, b"", "cat's output")
        log = self.log_text()
        check(image in log, f"the log does not name the image: {log!r}")
        for word in log_words:
            check(word in log, f"the log does not say {word!r}: {log!r}")


def raises(number: int, action: Callable[[], object], what: str) -> None:
    """The action fails with this errno and no other."""
    try:
        action()
    except OSError as error:
        found = errno.errorcode.get(error.errno, str(error.errno))
        equal(found, errno.errorcode[number], what)
        return
    raise Failure(f"{what}: no error instead of {errno.errorcode[number]}")


def mounted_below(directory: Path) -> List[str]:
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        places = [line.split()[1] for line in mounts]
    return [place for place in places if place.startswith(f"{directory}/")]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def read_all(fd: int, step: int = 1 << 20) -> bytes:
    parts = []
    while True:
        part = os.read(fd, step)
        if not part:
            return b"".join(parts)
        parts.append(part)


def remove_tree(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
