# SPDX-License-Identifier: Apache-2.0
"""P10 and P11 where GnuPG works for us: after the last close neither the daemon nor its helpers nor gpg and its
agents hold keys or plaintext; before, our own processes hold them in guarded memory only. (gpg and its agent do not:
contrib/doc/security.md says so.)"""
import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple

import leak_scan
from bed import Bed, check, equal
from leak_scan import Finding, Secrets
from messages import MIB
from registry import add
from secret_image import SecretImage, secret_image, secrets_of, session_key
from test_processes import KEYS_GONE_SECONDS, is_guarded

READER = "reader@example.org"
SESSION_KEY = re.compile(rb"session key: '\d+:([0-9A-F]+)'")


class Case(NamedTuple):
    options: str
    image: SecretImage
    words: Secrets


# --- images ---

def decrypted_by_gpg(bed: Bed) -> Case:
    secret = secret_image(bed)
    return Case("engine=gpgme", secret, secrets_of(secret, session_key=session_key(bed, secret)))


def encrypted_to_a_public_key(bed: Bed) -> Case:
    """gpg finds the session key with the keyring's secret key; the rest is ours."""
    secret, home, message = secret_image(bed), bed.tmp / "keyring", bed.tmp / "message"
    home.mkdir(mode=0o700)
    gpg = ("gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase", "")
    bed.run(*gpg, "--quick-gen-key", READER, "rsa2048", "encr", "never", limit=60)
    subprocess.run([*gpg, "--trust-model", "always", "-z0", "--recipient", READER, "--output", message, "--encrypt"],
                   input=secret.data, check=True, capture_output=True)
    told = bed.run(*gpg, "--show-session-key", "--output", "/dev/null", "--yes", "--decrypt", message).stderr
    bed.run("gpgconf", "--homedir", home, "--kill", "all")
    image = bed.cloud.add_image(message.read_bytes(), secret.key, decrypt_size=len(secret.data))
    words = secrets_of(secret, session_key=bytes.fromhex(SESSION_KEY.search(told)[1].decode()))
    return Case(f"keyring={home}", secret._replace(image=image), words)


# --- processes ---

def processes_of(bed: Bed) -> Dict[int, str]:
    """All that the daemon started, wherever it stands now: the test's directory is in their arguments."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and os.fsencode(bed.tmp) in (entry / "cmdline").read_bytes():
                found[int(entry.name)] = (entry / "comm").read_text().strip()
    return {pid: name for pid, name in found.items() if name.startswith(("glancefs", "gpg"))}


def findings(bed: Bed, words: Secrets) -> Dict[str, List[Finding]]:
    """By the process's name; who ends meanwhile holds nothing."""
    found: Dict[str, List[Finding]] = {}
    for pid, name in processes_of(bed).items():
        with contextlib.suppress(OSError):
            found.setdefault(name, []).extend(leak_scan.in_memory(words, pid))
    return found


def told(found: Dict[str, List[Finding]]) -> List[str]:
    return [f"{name}: {one}" for name, those in found.items() for one in those]


# --- what holds ---

def read_and_break_off(bed: Bed, image: str) -> None:
    bed.run("cat", bed.view(image))
    bed.run("sh", "-c", f"head -c 100000 {bed.view(image)} >/dev/null")
    child = bed.start("cat", bed.view(image), stdout=subprocess.PIPE)
    child.stdout.read(1)
    child.send_signal(signal.SIGKILL)
    child.communicate()


def fail_to_open(bed: Bed, secret: SecretImage) -> None:
    stored = bed.cloud.data(secret.image).read_bytes()
    damaged = bed.cloud.add_image(stored[:-1] + bytes([stored[-1] ^ 1]), secret.key)
    bed.run("cat", bed.view(damaged), code=1)


def gone_after_the_last_close(make):
    def run(bed):
        options, secret, words = make(bed)
        bed.mount("-o", f"{options},runtime={bed.tmp / 'run'}")
        stream = os.open(bed.view(secret.image), os.O_RDONLY)
        os.read(stream, MIB)
        in_use = findings(bed, words)
        check({"glancefs", "gpg-agent"} <= set(in_use), f"the scan misses processes: {sorted(in_use)}")
        check(in_use["glancefs"], "the scan misses the plaintext that is read")
        equal([f"{name}: {one}" for name, those in in_use.items() if name.startswith("glancefs")
               for one in those if not is_guarded(one.region)], [], "what is not in guarded memory")
        os.close(stream)
        read_and_break_off(bed, secret.image)
        fail_to_open(bed, secret)
        bed.wait_for(lambda: not told(findings(bed, words)), KEYS_GONE_SECONDS + 1,
                     "the secrets to go from memory")
        check("gpg-agent" in processes_of(bed).values(), "the agent, whose memory counts, has ended")
    return run


add("secrets_of_an_image_that_gpg_decrypted_are_gone_from_all_processes",
    gone_after_the_last_close(decrypted_by_gpg))
add("secrets_of_an_image_for_a_public_key_are_gone_from_all_processes",
    gone_after_the_last_close(encrypted_to_a_public_key))
