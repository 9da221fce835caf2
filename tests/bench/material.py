# SPDX-License-Identifier: Apache-2.0
"""What a run works on: plaintexts, messages made of them by the peers, and mounts that show them. All of
it lies on a tmpfs, so that no disk is measured."""
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence

from measure import Broken, require, run

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "mount"))

from bed import Bed  # noqa: E402

KIB = 1024
MIB = 1024 * KIB
PASSPHRASE = b"correct horse battery staple"
PIECE = 4 * MIB


def digest_of(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha512").hexdigest()


def random_file(path: Path, size: int) -> Path:
    with open(path, "wb") as stream:
        for begin in range(0, size, PIECE):
            stream.write(os.urandom(min(PIECE, size - begin)))
    return path


def image_like_file(path: Path, size: int) -> Path:
    """What a compressor finds in a disk image: programs and libraries of this machine, over and over."""
    done = 0
    while done < size:
        before = done
        with subprocess.Popen(["tar", "c", "-C", "/", "usr/bin", "usr/lib"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as tar, open(path, "ab") as stream:
            while done < size:
                piece = tar.stdout.read(min(PIECE, size - done))
                if not piece:
                    break
                stream.write(piece)
                done += len(piece)
            tar.stdout.close()
        require(done > before, "tar gave nothing")
    return path


class Material:
    """One run's directory, removed at its end by the caller."""

    def __init__(self, program: Path, folder: Path, size: int, memory_size: int):
        self.program, self.folder = program, folder
        self.size, self.memory_size = size, memory_size
        self.key = folder / "key"
        self.key.write_bytes(PASSPHRASE)
        self.gnupg, self.rnp_home = folder / "gnupg", folder / "rnp"
        for home in (self.gnupg, self.rnp_home):
            home.mkdir(mode=0o700)
        self.made: Dict[str, Path] = {}
        self.digests: Dict[Path, str] = {}
        self.open_bed: Optional["ImageBed"] = None
        self.open_rounds: List[List[float]] = []

    # --- commands, to be timed ---

    def glancefs(self, command: str, source: Path, *options: str) -> List[object]:
        return [self.program, command, "--key-file", self.key, *options, source]

    def gpg(self, *arguments: object) -> List[object]:
        return ["gpg", "--homedir", self.gnupg, "--batch", "--yes", "--quiet", "--no-symkey-cache",
                "--pinentry-mode", "loopback", "--passphrase-file", self.key, *arguments]

    def gpg_decrypt(self, message: Path) -> List[object]:
        return self.gpg("--decrypt", message)

    def gpg_encrypt(self, plain: Path, *options: str) -> List[object]:
        return self.gpg(*options, "--output", "-", "--symmetric", plain)

    def rnp_encrypt(self, plain: Path, output: object) -> List[object]:
        # RNP wants the passphrase on a descriptor that is not standard input.
        script = 'exec 3<"$1"; shift; exec "$@" --pass-fd 3'
        return ["bash", "-c", script, "rnp", self.key, "rnp", "--homedir", self.rnp_home, "--notty",
                "--aead=OCB", "-z", "0", "--overwrite", "--output", output, "-c", plain]

    # --- files, each made once ---

    def _once(self, name: str, make) -> Path:
        if name not in self.made:
            self.made[name] = make(self.folder / name)
        return self.made[name]

    def plain(self) -> Path:
        return self._once("plain", lambda path: random_file(path, self.size))

    def image_like(self) -> Path:
        return self._once("image-like", lambda path: image_like_file(path, self.size))

    def small(self) -> Path:
        return self._once("small", lambda path: random_file(path, 64 * KIB))

    def _by_gpg(self, name: str, plain: Path, *options: str) -> Path:
        def make(path: Path) -> Path:
            run(self.gpg(*options, "--output", path, "--symmetric", plain))
            return path
        return self._once(name, make)

    def seipd(self) -> Path:
        return self._by_gpg("seipd", self.plain(), "-z0")

    def small_seipd(self) -> Path:
        return self._by_gpg("small-seipd", self.small(), "-z0")

    def compressed(self) -> Path:
        return self._by_gpg("compressed", self.image_like())

    def ocb(self) -> Path:
        def make(path: Path) -> Path:
            run(self.rnp_encrypt(self.plain(), path))
            return path
        return self._once("ocb", make)

    def digest(self, path: Path) -> str:
        if path not in self.digests:
            self.digests[path] = digest_of(path)
        return self.digests[path]

    def same_content(self, found: Path, expected: Path, what: str) -> None:
        require(digest_of(found) == self.digest(expected), f"{what}: other bytes came out")

    def scratch(self, name: str = "scratch") -> Path:
        return self.folder / name

    # --- mounts ---

    def new_folder(self, name: str) -> Path:
        folder = self.folder / f"bed-{name}"
        folder.mkdir()
        return folder

    def image_bed(self, name: str, stored: Path, plain_size: int) -> "ImageBed":
        return ImageBed(self, self.new_folder(name), stored, plain_size)

    def close(self) -> None:
        for home in (self.gnupg, self.rnp_home):
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class ImageBed:
    """A local cloud with one image, and a mount of it that comes and goes."""

    def __init__(self, material: Material, folder: Path, stored: Path, plain_size: int):
        self.bed = Bed(material.program, folder, folder, 1)
        cloud = self.bed.cloud
        self.image = cloud.add_image(None, cloud.add_secret(PASSPHRASE), decrypt_size=plain_size,
                                     size=stored.stat().st_size, os_hash_algo="sha512",
                                     os_hash_value=material.digest(stored))
        os.link(stored, cloud.data(self.image))

    @property
    def view(self) -> Path:
        return self.bed.view(self.image)

    @property
    def pid(self) -> int:
        return self.bed.daemon.pid

    def forget(self) -> None:
        """The next daemon has to download the image."""
        shutil.rmtree(self.bed.cache, ignore_errors=True)

    def verify(self) -> None:
        """The first open returns when the image is verified."""
        os.close(os.open(self.view, os.O_RDONLY))

    @contextlib.contextmanager
    def mounted(self, *options: str, verified: bool = True) -> Iterator[None]:
        """A fresh daemon; the cache stays from one to the next, its tags do not."""
        self.bed.mount(*(("-o", ",".join(options)) if options else ()))
        try:
            if verified:
                self.verify()
            yield
        finally:
            code = self.bed.stop()
        require(code == 0, f"the daemon ended with {code}: {self.bed.log_text()}")


def dd(source: Path, output: Path = Path(os.devnull)) -> Sequence[object]:
    return ["dd", f"if={source}", f"of={output}", "bs=1M", "status=none"]


__all__ = ["Broken", "ImageBed", "KIB", "MIB", "Material", "PASSPHRASE", "dd"]
