# SPDX-License-Identifier: Apache-2.0
"""Where readers are known to differ from the native engine, and why that is right."""
import re
from typing import List, NamedTuple, Set

OPENS, REFUSES, DECLINES = "opens", "refuses", "declines"

CODE_UNSUPPORTED = 6


class Difference(NamedTuple):
    messages: str  # regular expression
    reader: str
    does: str  # while the native engine does the opposite
    why: str


DIFFERENCES: List[Difference] = [
    # GnuPG 2.2 knows neither RFC 9580 nor Argon2; packet 20 it knows, and takes damaged ones for sound: none
    # of these gets as far as gpg.
    Difference(r"vector-.*/rfc9580-.*", "gpgme", DECLINES, "SKESK version 6, SEIPD version 2"),
    Difference(r"vector-published/go-argon2-less\.pgp", "gpgme", DECLINES, "Argon2"),
    Difference(r"vector-published/(librepgp|rnp-aead|rnp-windows-issue).*", "gpgme", DECLINES, "packet 20"),
    Difference(r"sound-rnp-(ocb|eax)", "gpgme", DECLINES, "packet 20"),

    Difference(r"vector-crafted/(skesk-.*-before-(packet-20|seipd-v2)|.*-in-seipd-v2)\.pgp", "gpgme", DECLINES,
               "packet 20, SEIPD version 2"),

    # gpg has one try at a whole message: which session key packet it gets is chosen by its quick check.
    Difference(r"vector-crafted/(.*accidental|plausible-wrong-key).*", "gpgme", REFUSES,
               "a wrong key that passes the quick check"),
    Difference(r"vector-crafted/(.*accidental|plausible-wrong-key).*", "rnp", REFUSES,
               "a wrong key that passes the quick check"),
    Difference(r"vector-crafted/skesk-v4-of-another-passphrase-before-packet-20\.pgp", "rnp", REFUSES,
               "a wrong key that nothing but the tags tells"),

    # Padding and unknown packets of RFC 9580, which older readers stumble over; some of them also over those
    # that a reader has to refuse.
    Difference(r"vector-crafted/ignorable-packets-everywhere.*", "rnp", REFUSES, "ignorable packets inside"),
    Difference(r"vector-crafted/unknown-critical-packet-behind.*", "rnp", OPENS, "nobody looks behind the literal"),

    # RNP 0.16 is older than RFC 9580.
    Difference(r"vector-crafted/skesk-v6-.*", "rnp", REFUSES, "SKESK version 6, SEIPD version 2"),
    Difference(r"vector-.*/rfc9580-.*", "rnp", REFUSES, "SKESK version 6, SEIPD version 2"),
    Difference(r"vector-published/go-argon2-less\.pgp", "rnp", REFUSES, "Argon2"),

    # Here we are stricter.
    Difference(r"vector-crafted/skesk-v5-before-seipd-v1\.pgp", "rnp", OPENS, "versions that do not go together"),
    Difference(r"vector-crafted/seventeen-skesks\.pgp", "rnp", OPENS, "over the cap of 16"),
    Difference(r"vector-crafted/armored-with-text-behind-it\.pgp", "rnp", OPENS, "text behind the armor"),
    Difference(r"vector-published/rnp-(aead-eax-35|signed-sym)\.pgp", "rnp", OPENS,
               "a signature inside, which we could not check"),
    Difference(r"vector-.*/go-long-length\.pgp", "rnp", OPENS, "a literal that is longer than its container"),
    Difference(r"damaged-.*-(junk-after|packet-after|twice)", "rnp", OPENS, "something follows the message"),
    Difference(r"damaged-.*-literal-before", "rnp", OPENS, "a literal outside of the encryption"),
    Difference(r"damaged-.*-flip-length-[23]", "rnp", OPENS, "a length that leaves the last octet over"),
]

_used: Set[int] = set()


def explain(name: str, reader: str, answer, native) -> bool:
    """True when it is known that `reader` answers so. Two that open with other bytes never are."""
    if answer.digest and native.digest:
        return False
    does = OPENS if answer.digest else DECLINES if answer.code == CODE_UNSUPPORTED else REFUSES
    for index, difference in enumerate(DIFFERENCES):
        if difference.reader == reader and difference.does == does and re.fullmatch(difference.messages, name):
            _used.add(index)
            return True
    return False


def unused() -> List[str]:
    """Differences that did not occur: they are no longer true."""
    return [f"no message shows that {difference.reader} {difference.does} {difference.messages}"
            for index, difference in enumerate(DIFFERENCES) if index not in _used]
