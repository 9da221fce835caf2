# SPDX-License-Identifier: Apache-2.0
"""The OpenPGP programs that messages are exchanged with, and glancefs itself."""
import subprocess
from pathlib import Path
from typing import Iterable, NamedTuple, Optional

from terminal import run_on_terminal

TIMEOUT = 60


class Failed(Exception):
    """A program did not do what a test needs of it."""


def run(command, stdin: Optional[Path] = None, pipe: Optional[bytes] = None, **options):
    if stdin is not None:
        with open(stdin, "rb") as source:
            return subprocess.run(command, stdin=source, capture_output=True, timeout=TIMEOUT, **options)
    if pipe is not None:
        return subprocess.run(command, input=pipe, capture_output=True, timeout=TIMEOUT, **options)
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, **options)


def must(result) -> None:
    if result.returncode != 0:
        raise Failed(f"{result.args[0]} failed: {result.stderr.decode(errors='replace')[-300:]}")


class Gpg:
    """GnuPG with a home and an agent of its own; close() ends the agent."""

    def __init__(self, home: Path):
        self.home = home
        home.mkdir(mode=0o700)
        self.base = ["gpg", "--homedir", str(home), "--batch", "--yes", "--quiet", "--no-symkey-cache",
                     "--pinentry-mode", "loopback"]

    def close(self) -> None:
        run(["gpgconf", "--homedir", str(self.home), "--kill", "all"])

    def make_key(self, name: str) -> None:
        must(run([*self.base, "--passphrase", "", "--quick-generate-key", name, "future-default", "default", "0"]))

    def encrypt(self, plain: Path, key: Path, message: Path, options: Iterable[str] = (), piped=False) -> None:
        command = [*self.base, "--passphrase-file", str(key), *options, "--output", str(message), "--symmetric"]
        must(run(command, pipe=plain.read_bytes()) if piped else run([*command, str(plain)]))

    def decrypt(self, message: Path, key: Path, output: Path) -> None:
        must(run([*self.base, "--passphrase-file", str(key), "--output", str(output), "--decrypt", str(message)]))


class Rnp:
    """RNP with an empty home."""

    def __init__(self, home: Path):
        self.base = ["rnp", "--homedir", str(home), "--notty"]
        home.mkdir(mode=0o700)

    def encrypt(self, plain: Path, passphrases: Iterable[str], message: Path, options=(), piped=False) -> None:
        lines = "".join(f"{passphrase}\n" for passphrase in passphrases)
        self._with_passphrases(lines, [*options, "--overwrite", "--output", str(message), "-c"], plain, piped)

    def decrypt(self, message: Path, passphrase: str, output: Path) -> None:
        self._with_passphrases(passphrase + "\n", ["--overwrite", "--output", str(output), "-d"], message, False)

    def _with_passphrases(self, lines: str, arguments, data: Path, piped: bool) -> None:
        # RNP wants a descriptor that is not standard input.
        script = 'exec 3<<<"$1"; shift; exec "$@" --pass-fd 3'
        command = ["bash", "-c", script, "rnp", lines.rstrip("\n"), *self.base, *arguments]
        must(run([*command, "-"], pipe=data.read_bytes()) if piped else run([*command, str(data)]))


class Sq:
    """Sequoia's sq, which asks on the terminal only."""

    def encrypt(self, plain: Path, passphrases, message: Path, options=()) -> None:
        flags = ["-s"] * len(passphrases)
        self._on_terminal(["encrypt", "--binary", *flags, *options, "--output", str(message), str(plain)],
                          passphrases, message)

    def decrypt(self, message: Path, passphrase: str, output: Path) -> None:
        self._on_terminal(["decrypt", "--output", str(output), str(message)], [passphrase], output)

    @staticmethod
    def _on_terminal(arguments, passphrases, output: Path) -> None:
        output.unlink(missing_ok=True)
        ended = run_on_terminal(["sq", *arguments], [f"{passphrase}\n".encode() for passphrase in passphrases])
        if ended.code != 0:
            raise Failed(f"sq failed: {ended.screen.decode(errors='replace')[-300:]}")


class Result(NamedTuple):
    code: int
    output: bytes
    message: str


class Glancefs:
    """The program under test."""

    def __init__(self, path: str):
        self.path = path

    def _run(self, command: str, key: Path, source: Path, piped: bool, options: Iterable[str] = ()) -> Result:
        line = [self.path, command, "--key-file", str(key), *options]
        result = run([*line, "-"], pipe=source.read_bytes()) if piped else run([*line, str(source)])
        return Result(result.returncode, result.stdout, result.stderr.decode(errors="replace"))

    def decrypt(self, message: Path, key: Path, piped=False) -> Result:
        return self._run("decrypt", key, message, piped)

    def encrypt(self, plain: Path, key: Path, piped=False, options: Iterable[str] = ()) -> Result:
        return self._run("encrypt", key, plain, piped, options)
