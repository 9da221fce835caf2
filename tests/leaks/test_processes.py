# SPDX-License-Identifier: Apache-2.0
"""P9 to P11: keys and plaintext in no argument, environment or log, in no core, and gone from memory
after the last close."""
import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import List

import leak_scan
from bed import check, equal, raises
from messages import MIB
from registry import add, test
from secret_image import (read_in_every_way, secret_image, secrets_of, session_key, write_and_seal)
from write_bed import part_of, put, queued

KEYS_GONE_SECONDS = 2


def everything(bed, secret):
    """Marker, key as the key manager gives it and as it is used, and the message's own key."""
    return secrets_of(secret, session_key=session_key(bed, secret))


def family(pid: int) -> List[int]:
    """A process and all that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *(one for child in children for one in family(int(child)))]


# --- arguments, environment, log (P9) ---

@test
def the_scan_of_arguments_finds_what_is_there(bed):
    secret = secret_image(bed)
    child = bed.start("sh", "-c", "sleep 60; :", secret.passphrase,
                      env={**os.environ, "KEY": secret.marker.decode()})
    bed.wait_for(Path(f"/proc/{child.pid}/cmdline").read_bytes, 5, "the program to start")
    found = leak_scan.in_arguments(secrets_of(secret), child.pid)
    equal(sorted(line.split(": ")[1] for line in found), ["key as hex", "plaintext as raw"], "findings")


def stays_out_of_the_log(*options):
    def run(bed):
        secret = secret_image(bed)
        words = everything(bed, secret)
        bed.mount("-o", ",".join(("log_level=debug", *options)))
        fd = os.open(bed.view(secret.image), os.O_RDONLY)
        os.read(fd, MIB)
        found = [line for pid in family(bed.daemon.pid)
                 for line in leak_scan.in_arguments(words, pid)]
        os.close(fd)
        read_in_every_way(bed, secret)
        written = write_and_seal(bed, secret)
        stored = bed.cloud.data(secret.image).read_bytes()
        damaged = bed.cloud.add_image(stored[:MIB] + b"?" + stored[MIB + 1:], secret.key)
        check(bed.run("cat", bed.view(damaged), code=1).stderr, "cat said nothing")
        wrong = bed.cloud.add_image(stored, bed.cloud.add_secret(secret.passphrase, kind="opaque"))
        bed.run("cat", bed.view(wrong), code=1)
        for text in (bed.log.read_bytes(), (bed.mount_point / "status").read_bytes()):
            found += words.find(text)
        check(damaged in bed.log_text() and written, "the log does not tell the failure")
        equal(found, [], "findings")
    return run


add("no_argument_environment_log_or_status_names_a_secret", stays_out_of_the_log())
add("nor_while_an_image_arrives", stays_out_of_the_log("verify=stream"))


# --- cores (P10) ---

def is_idle(pid):
    """A thread that works has in its registers what it works on: what counts is what it leaves."""
    def used():
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[11:13]
    def states():
        return {stat.read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
                for stat in Path(f"/proc/{pid}/task").glob("*/stat")}
    before = used()
    time.sleep(0.5)
    return used() == before and states() == {"S"}


def core_of(bed, pid, *options):
    """A core taken by force; what gcore leaves out is what the kernel would leave out."""
    bed.run("gcore", *options, "-o", bed.tmp / "core", pid, limit=120)
    return bed.tmp / f"core.{pid}"


def reading(bed, secret, *options):
    """A reader in the middle of the image, and a writer of another."""
    bed.mount("-o", ",".join(("write_window=1M,max_memory=64M", *options)))
    fd = os.open(bed.view(secret.image), os.O_RDONLY)
    check(secret.marker in os.read(fd, MIB + 5), "the reader got no plaintext")
    target = queued(bed, key=secret.key)
    out = os.open(part_of(bed, target), os.O_WRONLY | os.O_CREAT)
    put(out, secret.data[:MIB + 5])
    return [fd, out]


def stays_out_of_a_core(*options):
    def run(bed):
        secret = secret_image(bed)
        words = everything(bed, secret)
        open_files = reading(bed, secret, *options)
        bed.wait_for(lambda: is_idle(bed.daemon.pid), 20, "the daemon to be idle")
        core = core_of(bed, bed.daemon.pid)
        check(core.stat().st_size > MIB, "the core is empty")
        equal(leak_scan.in_file(words, core), [], "findings in the core")
        core.unlink()
        whole = core_of(bed, bed.daemon.pid, "-a")
        names = " ".join(leak_scan.in_file(words, whole))
        check("session_key as raw" in names and "plaintext as raw" in names,
              f"a core with the locked memory does not show what is searched for: {names}")
        whole.unlink()
        for fd in open_files:
            os.close(fd)
    return run


add("a_core_taken_by_force_holds_no_secret", stays_out_of_a_core())
add("a_core_taken_by_force_holds_no_secret_of_an_image_that_arrives", stays_out_of_a_core("verify=stream"))


def end_of(child: subprocess.Popen) -> int:
    _, status = os.waitpid(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return status


@test
def an_abort_leaves_no_core(bed):
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    secret = secret_image(bed)
    other = bed.start(sys.executable, "-c", "import os; os.abort()", cwd=bed.tmp)
    check(os.WCOREDUMP(end_of(other)), "this machine writes no cores at all")
    open_files = reading(bed, secret)
    bed.daemon.send_signal(signal.SIGABRT)
    status = end_of(bed.daemon)
    bed.daemon = None
    for fd in open_files:
        with contextlib.suppress(OSError):  # nobody answers any more
            os.close(fd)
    bed.run("fusermount3", "-uz", bed.mount_point)
    equal(os.WTERMSIG(status), signal.SIGABRT, "what ended the daemon")
    check(not os.WCOREDUMP(status), "the daemon left a core")


# --- memory (P10, P11) ---

def is_guarded(region: leak_scan.Region) -> bool:
    return "dd" in region.flags and "lo" in region.flags


def are_in_locked_memory(*options):
    def run(bed):
        secret = secret_image(bed)
        words = everything(bed, secret)
        open_files = reading(bed, secret, *options)
        bed.wait_for(lambda: is_idle(bed.daemon.pid), 20, "the daemon to be idle")
        found = leak_scan.in_memory(words, bed.daemon.pid)
        check(any("session_key" in one.secret for one in found), "the scan misses the key that is in use")
        equal([str(one) for one in found if not is_guarded(one.region)], [], "findings elsewhere")
        for fd in open_files:
            os.close(fd)
    return run


add("secrets_in_use_are_in_locked_memory_only_that_no_core_shows", are_in_locked_memory())
add("secrets_of_an_image_that_arrives_are_in_locked_memory_only", are_in_locked_memory("verify=stream"))


def disappear_with_the_last_close(*options):
    def run(bed):
        secret = secret_image(bed)
        words = everything(bed, secret)
        bed.mount("-o", ",".join(("write_window=1M", *options)))
        pid = bed.daemon.pid
        first, second = (os.open(bed.view(secret.image), os.O_RDONLY) for _ in range(2))
        for fd in (first, second):
            os.read(fd, MIB)
        os.close(first)
        check(leak_scan.in_memory(words, pid), "the scan misses the key that is in use")
        os.close(second)
        written = write_and_seal(bed, secret)
        other = secrets_of(secret, session_key=session_key(bed, secret, bed.cloud.data(written)))
        read_in_every_way(bed, secret)
        left = []
        end = time.monotonic() + KEYS_GONE_SECONDS
        while time.monotonic() < end:
            left = [str(one) for one in (*leak_scan.in_memory(words, pid),
                                         *leak_scan.in_memory(other, pid))]
            if not left:
                return
        check(False, f"{KEYS_GONE_SECONDS} s after the last close memory holds {left}")
    return run


add("secrets_are_gone_from_memory_after_the_last_close", disappear_with_the_last_close())
add("secrets_of_an_image_that_arrived_are_gone_after_the_last_close",
    disappear_with_the_last_close("verify=stream"))


@test
def secrets_of_a_failed_open_are_gone_from_memory(bed):
    secret = secret_image(bed)
    words = everything(bed, secret)
    stored = bed.cloud.data(secret.image).read_bytes()
    damaged = bed.cloud.add_image(stored[:-1] + bytes([stored[-1] ^ 1]), secret.key)
    bed.mount()
    raises(74, lambda: bed.view(damaged).read_bytes(), "the open of a damaged image")
    bed.wait_for(lambda: not leak_scan.in_memory(words, bed.daemon.pid), KEYS_GONE_SECONDS,
                 "the secrets to go from memory")
