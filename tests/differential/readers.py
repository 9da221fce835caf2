# SPDX-License-Identifier: Apache-2.0
"""The three readers, and what a reader answers."""
import hashlib
import subprocess
import uuid
from pathlib import Path
from typing import NamedTuple, Optional

from programs import Failed, Gpg, Rnp, Sq

# Far beyond what any message takes; a hang is never an answer.
TIMEOUT = 45


class Answer(NamedTuple):
    code: int
    digest: Optional[str] = None  # of the plaintext; None: refused
    is_hang: bool = False

    def __str__(self) -> str:
        return f"opens {self.digest[:8]}" if self.digest else f"refuses ({self.code})"


class Bench:
    """Programs, and a folder for what they read and write."""

    def __init__(self, folder: Path, program: str):
        self.folder = folder
        self.program = program
        self.runtime = folder / "run"
        self.runtime.mkdir(mode=0o700)
        self.homes = self.runtime / "glancefs"
        self.gpg = Gpg(folder / "gnupg")
        self.rnp = Rnp(folder / "rnp")
        self.sq = Sq()

    def close(self) -> None:
        self.gpg.close()

    def scratch(self, data: Optional[bytes] = None) -> Path:
        path = self.folder / uuid.uuid4().hex
        if data is not None:
            path.write_bytes(data)
        return path


def digest_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def by_glancefs(engine: str):
    def read(bench: Bench, message) -> Answer:
        stored, key, output = bench.scratch(message.data), bench.scratch(message.passphrase), bench.scratch()
        command = [bench.program, "decrypt", "--engine", engine, "--key-file", str(key), str(stored)]
        # With LD_BIND_NOW set it does not start itself once more to set it.
        environment = {"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(bench.runtime), "LD_BIND_NOW": "1"}
        try:
            with open(output, "wb") as file:
                ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.DEVNULL,
                                       timeout=TIMEOUT, env=environment)
            return Answer(ended.returncode, digest_of(output) if ended.returncode == 0 else None)
        except subprocess.TimeoutExpired:
            return Answer(-1, is_hang=True)
        finally:
            for path in (stored, key, output):
                path.unlink(missing_ok=True)
    return read


def by_rnp(bench: Bench, message) -> Answer:
    stored, output = bench.scratch(message.data), bench.scratch()
    try:
        bench.rnp.decrypt(stored, message.passphrase.decode(), output)
        return Answer(0, digest_of(output))
    except (Failed, OSError):
        return Answer(1)
    except subprocess.TimeoutExpired:
        return Answer(-1, is_hang=True)
    finally:
        stored.unlink()
        output.unlink(missing_ok=True)


READERS = {"native": by_glancefs("native"), "gpgme": by_glancefs("gpgme"), "rnp": by_rnp}
