# SPDX-License-Identifier: Apache-2.0
"""The messages that are read: published ones, those of three writers, and damaged ones."""
import hashlib
import zlib
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "openpgp"
PASSPHRASE = "correct horse battery staple"
PLAIN = b"".join(b"line %d of the plaintext\n" % number for number in range(900))

# A key derivation that takes no time.
QUICK_GPG = ("--s2k-count", "65536")


class Message(NamedTuple):
    name: str
    data: bytes
    passphrase: bytes
    plain: Optional[str] = None  # digest of the plaintext of a sound message


def vectors() -> Iterator[Message]:
    for line in (VECTORS / "expectations.tsv").read_text().splitlines():
        if not line.startswith("#"):
            file, passphrase, _, _ = line.split("\t")
            yield Message(f"vector-{file}", (VECTORS / file).read_bytes(), bytes.fromhex(passphrase))


def written_by_gpg(bench) -> Dict[str, bytes]:
    variants = {"none": ("-z0",), "zip": ("--compress-algo", "zip"), "zlib": ("--compress-algo", "zlib"),
                "bzip2": ("--compress-algo", "bzip2"), "armor": ("--armor",),
                "cast5": ("-z0", "--cipher-algo", "CAST5"), "aes192": ("-z0", "--cipher-algo", "AES192"),
                "twofish": ("-z0", "--cipher-algo", "TWOFISH"), "sha512": ("-z0", "--s2k-digest-algo", "SHA512"),
                "salted": ("-z0", "--s2k-mode", "1"), "simple": ("-z0", "--s2k-mode", "0")}
    found = {}
    plain, key = bench.scratch(PLAIN), bench.scratch(PASSPHRASE.encode())
    for name, options in variants.items():
        for piped in ((False, True) if name in ("none", "zlib") else (False,)):
            stored = bench.scratch()
            bench.gpg.encrypt(plain, key, stored, [*QUICK_GPG, *options], piped)
            found[f"gpg-{name}{'-piped' if piped else ''}"] = stored.read_bytes()
    return found


def written_by_rnp(bench) -> Dict[str, bytes]:
    variants = {"none": ("-z", "0"), "zlib": ("--zlib", "-z", "6"), "zip": ("--zip", "-z", "6"),
                "bzip2": ("--bzip2", "-z", "6"), "ocb": ("--aead=OCB",), "eax": ("--aead=EAX",),
                "two-passwords": ("--passwords", "2")}
    found = {}
    plain = bench.scratch(PLAIN)
    for name, options in variants.items():
        stored = bench.scratch()
        passphrases = ["somebody else's", PASSPHRASE] if name == "two-passwords" else [PASSPHRASE]
        bench.rnp.encrypt(plain, passphrases, stored, options)
        found[f"rnp-{name}"] = stored.read_bytes()
    return found


def written_by_sq(bench) -> Dict[str, bytes]:
    found = {}
    plain = bench.scratch(PLAIN)
    for compression in ("none", "pad", "zlib"):
        stored = bench.scratch()
        bench.sq.encrypt(plain, [PASSPHRASE], stored, ("--compression", compression))
        found[f"sq-{compression}"] = stored.read_bytes()
    return found


def packets_of(data: bytes) -> List[Tuple[int, int, int, List[int]]]:
    """Of each outer packet: where it begins, where its body does, where it ends, and where the lengths of
    its chunks stand."""
    found, position = [], 0
    while position < len(data):
        begin, octet, lengths = position, data[position], []
        position += 1
        if octet & 0x40 == 0:
            width = 1 << (octet & 3)
            body = position + width
            position = body + int.from_bytes(data[position:body], "big")
        else:
            body = None
            while True:
                lengths.append(position)
                first = data[position]
                partial = 224 <= first < 255
                if first < 192:
                    width, size = 1, first
                elif first < 224:
                    width, size = 2, ((first - 192) << 8) + data[position + 1] + 192
                elif partial:
                    width, size = 1, 1 << (first & 31)
                else:
                    width, size = 5, int.from_bytes(data[position + 1:position + 5], "big")
                body = body or position + width
                position += width + size
                if not partial:
                    break
        found.append((begin, body, position, lengths))
    return found


def cut_inside(bench) -> Iterator[Message]:
    """Messages with a right MDC around compressed data that end early, in a literal that does not say how long
    it is. gpg by itself takes the end of the data for that of the literal."""
    partial = b"\xcb\xe9b\0" + bytes(4) + PLAIN[:506] + b"\xe9" + PLAIN[506:1018] + b"\x64" + PLAIN[1018:1118]
    literals = {"indeterminate": (b"\xafb\0" + bytes(4) + PLAIN, PLAIN), "partial": (partial, PLAIN[:1118])}
    key = bench.scratch(PASSPHRASE.encode())
    for name, (literal, content) in literals.items():
        compressed = zlib.compress(literal)
        for cut in (0, 1, 3, 8, len(compressed) // 2):
            plain, stored = bench.scratch(b"\xa3\x02" + compressed[:len(compressed) - cut]), bench.scratch()
            bench.gpg.encrypt(plain, key, stored, [*QUICK_GPG, "-z0", "--no-literal"])
            digest = hashlib.sha256(content).hexdigest() if cut == 0 else None
            yield Message(f"cut-inside-{name}-{cut}", stored.read_bytes(), PASSPHRASE.encode(), digest)


def structural_points(data: bytes) -> Dict[str, int]:
    """Places where a reader decides something, in a message of one SKESK and one SEIPD packet."""
    (skesk, skesk_body, skesk_end, _), (seipd, body, end, lengths) = packets_of(data)
    points = {"skesk-tag": skesk, "skesk-length": skesk + 1, "skesk-version": skesk_body,
              "skesk-cipher": skesk_body + 1, "skesk-s2k": skesk_body + 2, "skesk-hash": skesk_body + 3,
              "skesk-salt": skesk_body + 5, "skesk-count": skesk_body + 12,
              "seipd-tag": seipd, "seipd-length": seipd + 1, "seipd-version": body,
              "prefix": body + 1, "prefix-repeated": body + 15, "prefix-repeat": body + 17,
              "literal-tag": body + 19, "literal-length": body + 20, "literal-format": body + 22,
              "literal-name": body + 24, "literal-date": body + 30, "content": (body + end) // 2,
              "content-end": end - 23, "mdc-tag": end - 22, "mdc-length": end - 21, "mdc": end - 20, "end": end - 1}
    for number, place in enumerate(lengths[1:3], 2):
        points[f"length-{number}"] = place
    if skesk_end - skesk_body > 13:
        points["encrypted-key"] = skesk_body + 13
        points["encrypted-key-end"] = skesk_end - 1
    return points


def flipped(data: bytes, place: int, mask: int) -> bytes:
    return data[:place] + bytes([data[place] ^ mask]) + data[place + 1:]


class Parts(NamedTuple):
    """Where a message differs from the one that is damaged everywhere: what begins so, and what stands around."""
    points: Tuple[str, ...] = ("",)
    is_thorough: bool = False
    has_outside: bool = False


# Each structure that occurs is damaged at each of its points, once.
DAMAGED = {"gpg-none": Parts(is_thorough=True, has_outside=True),
           "gpg-none-piped": Parts(("seipd", "length", "content-end", "mdc", "end"), has_outside=True),
           "gpg-zlib": Parts(("length", "prefix", "literal", "content", "mdc", "end")),
           "rnp-none": Parts(("skesk", "encrypted-key", "seipd", "length"), has_outside=True)}


def damaged_inside(name: str, data: bytes, parts: Parts) -> Iterator[Tuple[str, bytes]]:
    for point, place in structural_points(data).items():
        if not point.startswith(parts.points):
            continue
        yield f"{name}-flip-{point}", flipped(data, place, 0x01)
        yield f"{name}-cut-{point}", data[:place]
        if parts.is_thorough:
            yield f"{name}-flip-high-{point}", flipped(data, place, 0x40)
            yield f"{name}-without-{point}", data[:place] + data[place + 1:]


def damaged_outside(name: str, data: bytes) -> Iterator[Tuple[str, bytes]]:
    (_, _, skesk_end, _), (seipd, body, end, _) = packets_of(data)
    yield f"{name}-junk-after", data + b"\0"
    yield f"{name}-packet-after", data + b"\xcb\x0bb\0\0\0\0\0hello"
    yield f"{name}-twice", data + data[seipd:]
    yield f"{name}-literal-before", b"\xcb\x0bb\0\0\0\0\0hello" + data
    yield f"{name}-marker-before", b"\xca\x03PGP" + data
    yield f"{name}-without-skesk", data[skesk_end:]
    yield f"{name}-skesk-alone", data[:skesk_end]
    yield f"{name}-as-aead", flipped(data, seipd, 18 ^ 20)
    yield f"{name}-as-unprotected", b"".join((data[:skesk_end], b"\xc9\xff", (end - body - 1).to_bytes(4, "big"),
                                              data[body + 1:]))


def all_messages(bench) -> Iterator[Message]:
    yield from vectors()
    plain = hashlib.sha256(PLAIN).hexdigest()
    passphrase = PASSPHRASE.encode()
    written = {**written_by_gpg(bench), **written_by_rnp(bench), **written_by_sq(bench)}
    for name, data in written.items():
        yield Message(f"sound-{name}", data, passphrase, plain)
    yield Message("wrong-passphrase", written["gpg-none"], b"another")
    for name, parts in DAMAGED.items():
        for damage, data in damaged_inside(name, written[name], parts):
            yield Message(f"damaged-{damage}", data, passphrase)
        if parts.has_outside:
            for damage, data in damaged_outside(name, written[name]):
                yield Message(f"damaged-{damage}", data, passphrase)
    yield from cut_inside(bench)
