#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Exchanges messages with gpg, rnp and sq in both directions, made on the spot in their variants, and
runs glancefs decrypt and encrypt with terminals, pipes and signals.

Usage: run.py --glancefs PROGRAM [NAME...]     NAME: only tests whose name contains it
Prints one line per failure and at last `N passed, N failed`.
"""
import argparse
import concurrent.futures
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict, List

from commands import TESTS as COMMAND_TESTS
from programs import Failed, Glancefs, Gpg, Rnp, Sq

KIB = 1024
MIB = 1024 * KIB
PASSPHRASE = "correct horse battery staple"

# Around the blocks of the ciphers, the forms of lengths, and the pieces that programs work in.
SIZES = [0, 1, 15, 16, 17, 31, 191, 192, 193, 511, 512, 513, 4095, 8170, 8191, 8192, 8193, 8383, 8384, 8385,
         16384, 65535, 65536, 65537, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, MIB - 6, MIB, MIB + 1,
         5 * MIB + 12345]
FEW_SIZES = [0, 1, 191, 512, 8192, 65537, MIB + 1]
# Around the chunks of authenticated encryption. Headers of the literal, 6 to 8 octets and more when it
# names its file, stand in the first: ours are of 64 KiB, those asked of rnp of 2 KiB.
CHUNK_SIZES = [0, 1, 2029, 2030, 2036, 2037, 2048, 4085, 65523, 65524, 65525, 65536, 131060, 131061, MIB + 1]

# gpg takes a tenth of a second for its own default count; one test uses it.
QUICK = ("--s2k-count", "65536")

CODE_CORRUPT = 5
CODE_UNSUPPORTED = 6


class Bench:
    """Programs, inputs and a folder for what a test makes."""

    def __init__(self, folder: Path, program: str):
        self.folder = folder
        self.glancefs = Glancefs(program)
        self.gpg = Gpg(folder / "gnupg")
        self.rnp = Rnp(folder / "rnp")
        self.sq = Sq()
        self.key = self.file("key", PASSPHRASE.encode())
        self.wrong_key = self.file("wrong-key", b"another passphrase")
        self.plain = {size: self.file(f"plain-{size}", content(size)) for size in {*SIZES, *CHUNK_SIZES}}

    def file(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def opens(self, message: Path, plain: Path, key: Path = None, piped=False) -> None:
        result = self.glancefs.decrypt(message, key or self.key, piped)
        if result.code != 0:
            raise Failed(f"exit code {result.code}: {result.message.strip()}")
        if result.output != plain.read_bytes():
            raise Failed("other plaintext came out")

    def refuses(self, message: Path, code: int, text: str, key: Path = None) -> None:
        result = self.glancefs.decrypt(message, key or self.key)
        if result.code != code or text not in result.message:
            raise Failed(f"exit code {result.code}, not {code} ({text}): {result.message.strip()}")


def content(size: int) -> bytes:
    """Half of it random, half of it text, so that compression has something to do."""
    half = random.Random(size).randbytes(size // 2)
    return half + (b"the quick brown fox jumps over the lazy dog\n" * (size // 40 + 1))[:size - len(half)]


Test = Callable[[Bench, Path], None]


def from_gpg(size: int, *options: str, piped=False) -> Test:
    def test(bench: Bench, message: Path) -> None:
        bench.gpg.encrypt(bench.plain[size], bench.key, message, options, piped)
        bench.opens(message, bench.plain[size], piped=piped)
    return test


def gpg_reading_tests() -> Dict[str, Test]:
    tests: Dict[str, Test] = {}
    compressions = {"none": ("-z0",), "zip": ("--compress-algo", "zip"), "zlib": ("--compress-algo", "zlib"),
                    "bzip2": ("--compress-algo", "bzip2"), "uncompressed": ("--compress-algo", "uncompressed")}
    for size in SIZES:
        for piped in (False, True):
            tests[f"gpg-none-{size}-{'pipe' if piped else 'file'}"] = from_gpg(size, *QUICK, "-z0", piped=piped)
    for size in FEW_SIZES:
        for name, options in compressions.items():
            tests[f"gpg-{name}-{size}"] = from_gpg(size, *QUICK, *options, piped=size % 2 == 1)
    for cipher in ("3DES", "CAST5", "BLOWFISH", "AES", "AES192", "AES256", "TWOFISH", "CAMELLIA128",
                   "CAMELLIA192", "CAMELLIA256"):
        for size in (17, 65537):
            tests[f"gpg-cipher-{cipher}-{size}"] = from_gpg(
                size, *QUICK, "--cipher-algo", cipher, "-z0", piped=size > 17)
    for digest in ("MD5", "SHA1", "RIPEMD160", "SHA224", "SHA256", "SHA384", "SHA512"):
        for mode in ("0", "1", "3"):
            tests[f"gpg-s2k-{digest}-{mode}"] = from_gpg(
                513, *QUICK, "--s2k-digest-algo", digest, "--s2k-mode", mode, "--cipher-algo", "AES256")
    for count in ("1024", "1088", "65011712"):
        tests[f"gpg-s2k-count-{count}"] = from_gpg(17, "--s2k-count", count)
    tests["gpg-defaults"] = from_gpg(5 * MIB + 12345)
    tests["gpg-defaults-pipe"] = from_gpg(5 * MIB + 12345, piped=True)
    tests["gpg-name"] = from_gpg(17, *QUICK, "--set-filename", "../../etc/passwd")
    tests["gpg-for-your-eyes-only"] = from_gpg(17, *QUICK, "--for-your-eyes-only")
    tests["gpg-levels"] = from_gpg(MIB, *QUICK, "-z9")
    return tests


def gpg_with_a_recipient(bench: Bench, message: Path) -> None:
    """A public-key session key packet in front, and a passphrase packet with an encrypted key."""
    bench.gpg.make_key("someone@example.org")
    bench.gpg.encrypt(bench.plain[8192], bench.key, message,
                      [*QUICK, "--trust-model", "always", "--encrypt", "--recipient", "someone@example.org"])
    bench.opens(message, bench.plain[8192])


def gpg_armor(bench: Bench, message: Path) -> None:
    """Small messages only: nobody stores an image that way."""
    bench.gpg.encrypt(bench.plain[8192], bench.key, message, [*QUICK, "-z0", "--armor"])
    bench.opens(message, bench.plain[8192])
    bench.opens(message, bench.plain[8192], piped=True)
    bench.gpg.encrypt(bench.plain[MIB], bench.key, message, [*QUICK, "-z0", "--armor"])
    bench.refuses(message, CODE_UNSUPPORTED, "armor")


def gpg_wrong_passphrase(bench: Bench, message: Path) -> None:
    bench.gpg.encrypt(bench.plain[8192], bench.key, message, QUICK)
    bench.refuses(message, CODE_CORRUPT, "wrong passphrase or damaged data", bench.wrong_key)


def gpg_damage(bench: Bench, message: Path) -> None:
    """One bit at places all over the data, and cuts: always the same words."""
    bench.gpg.encrypt(bench.plain[65536], bench.key, message, [*QUICK, "-z0"])
    data = message.read_bytes()
    places = random.Random(1).sample(range(30, len(data)), 20) + [len(data) - 1]
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        message.write_bytes(damaged)
        bench.refuses(message, CODE_CORRUPT, "wrong passphrase or damaged data")
        message.write_bytes(data[:place])
        bench.refuses(message, CODE_CORRUPT, "wrong passphrase or damaged data")


def from_gpg_with_passphrase(passphrase: bytes) -> Test:
    def test(bench: Bench, message: Path) -> None:
        key = message.with_suffix(".key")
        key.write_bytes(passphrase)
        bench.gpg.encrypt(bench.plain[17], key, message, QUICK)
        bench.opens(message, bench.plain[17], key)
    return test


def from_rnp(size: int, *options: str, piped=False) -> Test:
    def test(bench: Bench, message: Path) -> None:
        bench.rnp.encrypt(bench.plain[size], [PASSPHRASE], message, options, piped)
        bench.opens(message, bench.plain[size], piped=piped)
    return test


RNP_COMPRESSIONS = {"none": ("-z", "0"), "zip": ("--zip", "-z", "6"), "zlib": ("--zlib", "-z", "1"),
                    "bzip2": ("--bzip", "-z", "9")}


def rnp_reading_tests() -> Dict[str, Test]:
    tests: Dict[str, Test] = {}
    for size in FEW_SIZES:
        for name, options in RNP_COMPRESSIONS.items():
            tests[f"rnp-{name}-{size}"] = from_rnp(size, *options, piped=size % 2 == 1)
    for cipher in ("TRIPLEDES", "CAST5", "BLOWFISH", "AES128", "AES192", "AES256", "TWOFISH", "CAMELLIA128",
                   "CAMELLIA192", "CAMELLIA256"):
        tests[f"rnp-cipher-{cipher}"] = from_rnp(8193, "--cipher", cipher)
    return tests


def rnp_aead_tests() -> Dict[str, Test]:
    """The packet of LibrePGP: rnp 0.16 knows no SEIPD version 2."""
    tests: Dict[str, Test] = {}
    for mode in ("OCB", "EAX"):
        for size in CHUNK_SIZES:
            tests[f"rnp-aead-{mode}-{size}"] = from_rnp(
                size, f"--aead={mode}", "--aead-chunk-bits=5", "-z", "0", piped=size % 2 == 0)
        for cipher in ("AES128", "AES192", "TWOFISH", "CAMELLIA128", "CAMELLIA256"):
            tests[f"rnp-aead-{mode}-{cipher}"] = from_rnp(8193, f"--aead={mode}", "--cipher", cipher)
    for bits in ("0", "1", "10", "16"):
        tests[f"rnp-aead-chunks-{bits}"] = from_rnp(MIB + 1, "--aead=OCB", f"--aead-chunk-bits={bits}")
    for name, options in RNP_COMPRESSIONS.items():
        tests[f"rnp-aead-{name}"] = from_rnp(5 * MIB + 12345, "--aead=OCB", *options)
    return tests


def rnp_two_passphrases(bench: Bench, message: Path) -> None:
    bench.rnp.encrypt(bench.plain[8192], ["somebody else's", PASSPHRASE], message, ["--passwords", "2"])
    bench.opens(message, bench.plain[8192])
    bench.refuses(message, CODE_CORRUPT, "wrong passphrase or damaged data", bench.wrong_key)


def rnp_aead_two_passphrases(bench: Bench, message: Path) -> None:
    bench.rnp.encrypt(bench.plain[8192], ["somebody else's", PASSPHRASE], message, ["--aead=OCB", "--passwords", "2"])
    bench.opens(message, bench.plain[8192])
    bench.refuses(message, CODE_CORRUPT, "wrong passphrase or damaged data", bench.wrong_key)


def rnp_aead_damage(bench: Bench, message: Path) -> None:
    """One bit at places all over chunks and tags, and cuts, also right behind a tag."""
    bench.rnp.encrypt(bench.plain[16384], [PASSPHRASE], message, ["--aead=OCB", "--aead-chunk-bits=5", "-z", "0"])
    data = message.read_bytes()
    places = random.Random(2).sample(range(100, len(data)), 15) + [len(data) - 1]
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        message.write_bytes(damaged)
        bench.refuses(message, CODE_CORRUPT, "wrong passphrase or damaged data")
    for cut in places + [len(data) - 16, len(data) - 32]:
        message.write_bytes(data[:cut])
        bench.refuses(message, CODE_CORRUPT, "wrong passphrase or damaged data")


def from_sq(size: int, *options: str) -> Test:
    def test(bench: Bench, message: Path) -> None:
        bench.sq.encrypt(bench.plain[size], [PASSPHRASE], message, options)
        bench.opens(message, bench.plain[size])
    return test


def sq_reading_tests() -> Dict[str, Test]:
    tests: Dict[str, Test] = {}
    for size in FEW_SIZES:
        tests[f"sq-default-{size}"] = from_sq(size)
    for compression in ("none", "pad", "zip", "zlib", "bzip2"):
        for size in (17, 5 * MIB + 12345):
            tests[f"sq-{compression}-{size}"] = from_sq(size, "--compression", compression)
    return tests


def sq_two_passphrases(bench: Bench, message: Path) -> None:
    bench.sq.encrypt(bench.plain[8192], ["somebody else's", PASSPHRASE], message)
    bench.opens(message, bench.plain[8192])


def to_gpg(bench: Bench, message: Path, output: Path) -> None:
    bench.gpg.decrypt(message, bench.key, output)


def to_rnp(bench: Bench, message: Path, output: Path) -> None:
    bench.rnp.decrypt(message, PASSPHRASE, output)


def to_sq(bench: Bench, message: Path, output: Path) -> None:
    bench.sq.decrypt(message, PASSPHRASE, output)


def to_ourselves(bench: Bench, message: Path, output: Path) -> None:
    result = bench.glancefs.decrypt(message, bench.key)
    if result.code != 0:
        raise Failed(f"decrypt: exit code {result.code}: {result.message.strip()}")
    output.write_bytes(result.output)


def writing(size: int, piped: bool, open_by: Callable[[Bench, Path, Path], None], *options: str) -> Test:
    def test(bench: Bench, message: Path) -> None:
        result = bench.glancefs.encrypt(bench.plain[size], bench.key, piped, options)
        output = message.with_suffix(".out")
        if result.code != 0:
            raise Failed(f"encrypt: exit code {result.code}: {result.message.strip()}")
        message.write_bytes(result.output)
        open_by(bench, message, output)
        if output.read_bytes() != bench.plain[size].read_bytes():
            raise Failed("other plaintext came out")
    return test


def writing_tests() -> Dict[str, Test]:
    tests: Dict[str, Test] = {}
    for name, open_by in {"gpg": to_gpg, "rnp": to_rnp, "sq": to_sq}.items():
        for size in SIZES if name == "gpg" else FEW_SIZES:
            for piped in (False, True):
                tests[f"to-{name}-{size}-{'pipe' if piped else 'file'}"] = writing(size, piped, open_by)
    return tests


# rnp 0.16 fails on messages, also its own, whose last chunk is full when chunks have 64 KiB.
FULL_LAST_CHUNK = (65524, 131060)


def aead_writing_tests() -> Dict[str, Test]:
    """gpg 2.2 and rnp 0.16 read the packet of LibrePGP, sq 0.27 does not; SEIPD version 2 none of them."""
    tests: Dict[str, Test] = {}
    readers = {"librepgp-ocb": {"gpg": to_gpg, "rnp": to_rnp, "glancefs": to_ourselves},
               "ocb": {"glancefs": to_ourselves}, "gcm": {"glancefs": to_ourselves}}
    for mode, names in readers.items():
        for name, open_by in names.items():
            for size in CHUNK_SIZES:
                if name == "rnp" and size in FULL_LAST_CHUNK:
                    continue
                tests[f"{mode}-to-{name}-{size}"] = writing(size, size % 2 == 1, open_by, "--aead", mode)
    return tests


def peers_without_seipd_2(bench: Bench, message: Path) -> None:
    """Should one of them learn it, it has to join the readers above."""
    message.write_bytes(bench.glancefs.encrypt(bench.plain[512], bench.key, False, ["--aead", "ocb"]).output)
    for name, open_by in {"gpg": to_gpg, "rnp": to_rnp}.items():
        try:
            open_by(bench, message, message.with_suffix(f".{name}"))
        except Failed:
            continue
        raise Failed(f"{name} reads it")


def all_tests() -> Dict[str, Test]:
    return {
        **gpg_reading_tests(),
        "gpg-with-a-recipient": gpg_with_a_recipient,
        "gpg-armor": gpg_armor,
        "gpg-wrong-passphrase": gpg_wrong_passphrase,
        "gpg-damage": gpg_damage,
        "gpg-passphrase-utf8": from_gpg_with_passphrase("Grüße, 世界".encode()),
        "gpg-passphrase-latin1": from_gpg_with_passphrase(b"\xff\xfe high octets \x80"),
        "gpg-passphrase-long": from_gpg_with_passphrase(b"long " * 40),
        "gpg-passphrase-spaces": from_gpg_with_passphrase(b"  x  "),
        **rnp_reading_tests(),
        "rnp-two-passphrases": rnp_two_passphrases,
        **rnp_aead_tests(),
        "rnp-aead-two-passphrases": rnp_aead_two_passphrases,
        "rnp-aead-damage": rnp_aead_damage,
        **sq_reading_tests(),
        "sq-two-passphrases": sq_two_passphrases,
        **writing_tests(),
        **aead_writing_tests(),
        "peers-without-seipd-2": peers_without_seipd_2,
        **COMMAND_TESTS,
    }


def failure_of(bench: Bench, name: str, test: Test) -> str:
    """What went wrong, or nothing."""
    try:
        test(bench, bench.folder / f"{name}.pgp")
    except (Failed, OSError, subprocess.SubprocessError) as problem:
        return " ".join(str(problem).split()) or type(problem).__name__
    return ""


def run_tests(bench: Bench, tests: Dict[str, Test]) -> int:
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=3) as pool:
        futures = {pool.submit(failure_of, bench, name, test): name for name, test in tests.items()}
        for future in concurrent.futures.as_completed(futures):
            if future.result():
                failed += 1
                print(f"FAIL {futures[future]}: {future.result()}", flush=True)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed or not tests else 0


def main(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glancefs", required=True)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args(arguments)
    tests = {name: test for name, test in all_tests().items()
             if not options.names or any(part in name for part in options.names)}
    with tempfile.TemporaryDirectory(prefix="glancefs-interop-") as folder:
        bench = Bench(Path(folder), str(Path(options.glancefs).resolve()))
        try:
            return run_tests(bench, tests)
        finally:
            bench.gpg.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
