# SPDX-License-Identifier: Apache-2.0
"""Who works on a mount, side by side: a method is one turn, a worker takes one after the other."""
import contextlib
import errno
import json
import os
import random
import signal
import subprocess
import threading
import time
import traceback
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from bed import Failure, equal
from faulty_cloud import replace_text
from messages import KIB, MIB
from place import LocalPlace, OpenstackPlace, Place, Written
from write_bed import COMMIT, file_of, part_of, put, set_record

READ_BYTES = "every byte that a reader gets is right, or under verify=stream ends in an error"
READ_ERRORS = "a reader sees no error that no fault explains"
WRITE_ERRORS = "a writer sees no error that no fault explains"
IMAGES = "an image that becomes active holds what was written"
COMMANDS = "commands beside the mount end as they may"
WAITING = "nobody waits for ever"
RUN = "everybody had turns"

MOUNT_IS_GONE = (errno.ENOTCONN, errno.ECONNABORTED, errno.ENOENT)
MOUNT_ENDS = (*MOUNT_IS_GONE, errno.ESHUTDOWN)
# What a command's exit code stands for.
ERRORS_OF_CODE = {1: (errno.ENOSPC,), 4: (errno.EACCES,), 5: (errno.EBADMSG,), 7: (errno.EIO, errno.ETIMEDOUT)}
# Under verify=stream nobody gets so much of an image's end before all of it is verified.
WITHHELD = MIB
MOST_SEALED = 4
MOST_BUSY_SECONDS = 3
MOST_ABORT_SECONDS = 10
COMMAND_SECONDS = 90


class Worker(NamedTuple):
    name: str
    turn: Callable[[random.Random], None]
    pause: float  # most seconds between two turns
    share: float = 1.0  # of the run's time


class Reading:
    """What somebody read of an image so far. `is_early`: perhaps before it was verified."""

    def __init__(self, image: str, expected: bytes, began: float, is_early: bool):
        self.image, self.expected, self.began, self.is_early = image, expected, began, is_early
        self.at, self.wrong_at, self.has_ended = 0, None, False

    def take(self, part: bytes) -> None:
        if self.wrong_at is None and part != self.expected[self.at:self.at + len(part)]:
            self.wrong_at = self.at
        self.at += len(part)


class Workers:
    def __init__(self, place: Place):
        self.place, self.bed, self.ledger = place, place.bed, place.ledger

    def all(self) -> List[Worker]:
        workers = [Worker(f"reader {n}", self.read, 0.05) for n in range(3)]
        workers += [Worker(f"writer {n}", self.write, 0.2) for n in range(2)]
        workers += [Worker("readers of one image", self.read_together, 0.3),
                    Worker("aborted reader", self.abort_read, 0.2), Worker("aborted writer", self.abort_write, 0.5),
                    Worker("auditor", self.audit, 0.2), Worker("fetch", self.fetch, 0.5),
                    Worker("evict", self.evict, 0.3), Worker("prune", self.prune, 2), Worker("verify", self.verify, 2),
                    Worker("lookout", self.look, 0.5), Worker("damage", self.damage, 1.5),
                    # Who is not killed in the second half shows what a daemon gathers.
                    Worker("killer", self.kill, 8, share=0.5)]
        if isinstance(self.place, LocalPlace):
            workers += [Worker("services", self.disturb_services, 0.6), Worker("disk", self.fill_disk, 6)]
        if isinstance(self.place, OpenstackPlace):
            workers += [Worker("outage", self.have_outage, 30)]
        return workers

    # --- reading ---

    def stream_of(self, image: str, step: int, share: float = 1.0) -> None:
        """Reads so much of an image and compares it."""
        reading = Reading(image, self.place.data[image], time.monotonic(), self.place.verify == "stream")
        try:
            stream = os.open(self.bed.view(image), os.O_RDONLY)
            reading.is_early |= self.place.verify == "stream"
            try:
                while not reading.has_ended and (share == 1.0 or reading.at < len(reading.expected) * share):
                    part = os.read(stream, step)
                    reading.take(part)
                    reading.has_ended = not part
            finally:
                os.close(stream)
        except OSError as error:
            self.was_refused(READ_ERRORS, error, reading.began, image)
        self.judge(reading)

    def judge(self, reading: Reading) -> None:
        """Bytes that are shown early may be wrong: then damage explains them, and nobody gets to the end."""
        self.ledger.add(f"opens with verify={'stream' if reading.is_early else 'first'}")
        self.ledger.add("bytes compared", reading.at)
        size, where = len(reading.expected), f"{reading.image}: {reading.at} bytes, wrong from {reading.wrong_at} on"
        if reading.has_ended and reading.at != size:
            self.place.fail(READ_BYTES, f"{where}, and the end, of {size}")
        if reading.wrong_at is None:
            return
        self.ledger.add("readings of damaged bytes")
        if not reading.is_early or not self.ledger.explains(errno.EBADMSG, reading.began, reading.image):
            self.place.fail(READ_BYTES, f"{where}, of {size}")
        elif reading.at > size - WITHHELD:
            self.place.fail(READ_BYTES, f"{where}, of {size}: also of what is withheld")

    def was_refused(self, kind: str, error: OSError, since: float, image: Optional[str]) -> None:
        name = errno.errorcode.get(error.errno, str(error.errno))
        self.ledger.add(f"{'reader' if kind == READ_ERRORS else 'writer'} met {name}")
        if not self.ledger.explains(error.errno, since, image):
            self.place.fail(kind, f"{image}: {error} after {time.monotonic() - since:.1f} s, at {time.ctime()}")

    def read(self, dice: random.Random) -> None:
        share = 1.0 if dice.random() < 0.8 else dice.random()
        self.stream_of(dice.choice(self.place.images), dice.choice((64 * KIB, MIB, 100003)), share)

    def read_together(self, dice: random.Random) -> None:
        image = dice.choice(self.place.images)
        steps = [dice.choice((64 * KIB, MIB, 4099)) for _ in range(3)]
        others = [threading.Thread(target=self.stream_of, args=(image, step)) for step in steps]
        for other in others:
            other.start()
        for other in others:
            other.join()

    def abort_read(self, dice: random.Random) -> None:
        """A reader that gets a signal must be gone in a moment, and what it had was right."""
        image, number = dice.choice(self.place.images), dice.choice((signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
        reading = Reading(image, self.place.data[image], time.monotonic(), self.place.verify == "stream")
        child = subprocess.Popen(["cat", str(self.bed.view(image))], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        with child.stdout:
            had = child.stdout.read(dice.choice((0, 1, 100 * KIB)))
            time.sleep(dice.uniform(0, 0.15))
            child.send_signal(number)
            try:
                child.wait(self.bed.seconds(MOST_ABORT_SECONDS))
            except subprocess.TimeoutExpired:
                self.place.fail(WAITING, f"a reader of {image} did not end by {number.name}")
                child.kill()
            had += child.stdout.read()
        reading.is_early |= self.place.verify == "stream"
        reading.take(had)
        self.judge(reading)
        self.ledger.add("readers aborted" if child.returncode < 0 else "readers that were faster than the signal")

    # --- writing ---

    def sealed_and_pending(self) -> int:
        with self.place.lock:
            return sum(one.is_sealed for one in self.place.pending)

    def write(self, dice: random.Random) -> None:
        if self.sealed_and_pending() >= MOST_SEALED:
            self.ledger.add("writers that waited for uploads")
            return
        image, data, began = self.place.new_queued(), self.place.new_data(dice), time.monotonic()
        try:
            self.write_part(image, data, dice.choice((64 * KIB, MIB, 100003)))
        except OSError as error:
            self.was_refused(WRITE_ERRORS, error, began, image)
            self.give_up(image)
            return
        self.seal(image, data, dice.random() < 0.5, began)

    def write_part(self, image: str, data: bytes, step: int) -> None:
        part = os.open(part_of(self.bed, image), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            for at in range(0, len(data), step):
                put(part, data[at:at + step], at)
        finally:
            os.close(part)
        self.ledger.add("bytes written", len(data))

    def seal(self, image: str, data: bytes, renames: bool, began: float) -> None:
        part, is_sealed = part_of(self.bed, image), False
        try:
            self.when_closed(lambda: os.rename(part, file_of(self.bed, image)) if renames
                             else os.setxattr(part, COMMIT, b"1"))
            is_sealed = True
            self.ledger.add("seals")
        except OSError as error:
            self.was_refused(WRITE_ERRORS, error, began, image)
        with self.place.lock:
            self.place.pending.append(Written(image, data, is_sealed))

    def when_closed(self, action: Callable[[], None]) -> None:
        """A child that another thread just started has our files open, too, until it is its own program."""
        end = time.monotonic() + self.bed.seconds(MOST_BUSY_SECONDS)
        while True:
            try:
                action()
                return
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > end:
                    raise
            time.sleep(0.02)

    def give_up(self, image: str) -> None:
        """What was not sealed must never become an image."""
        with contextlib.suppress(OSError):
            os.unlink(part_of(self.bed, image))
        with self.place.lock:
            self.place.unsealed.append(image)

    def abort_write(self, dice: random.Random) -> None:
        image, size, began = self.place.new_queued(), dice.randrange(700 * KIB), time.monotonic()
        try:
            part = os.open(part_of(self.bed, image), os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                put(part, dice.randbytes(size))
            finally:
                os.close(part)
            self.ledger.add("writers aborted")
        except OSError as error:
            self.was_refused(WRITE_ERRORS, error, began, image)
        self.give_up(image)

    def audit(self, _: random.Random) -> None:
        """What became active is compared and deleted."""
        with self.place.lock:
            done = [one for one in self.place.pending if self.place.is_done(one.image)]
        for one in done:
            try:
                self.place.audit(one)
            except (Failure, OSError) as failure:
                self.place.fail(IMAGES, f"{one.image}: {failure}")
            with self.place.lock:
                self.place.pending.remove(one)
            self.bed.cloud.remove(one.image)

    # --- commands beside the mount ---

    def run(self, words: List[str], *codes: int) -> int:
        began = time.monotonic()
        try:
            answer = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                                    timeout=self.bed.seconds(COMMAND_SECONDS))
        except subprocess.TimeoutExpired:
            self.place.fail(WAITING, f"{words[1:]} did not end")
            return -1
        explained = any(self.ledger.explains(error, began) for error in ERRORS_OF_CODE.get(answer.returncode, ()))
        if answer.returncode not in codes and not explained:
            self.place.fail(COMMANDS, f"{words[1:4]}: exit code {answer.returncode}: "
                                      f"{answer.stdout.decode()[-500:]}{answer.stderr.decode()[-500:]}")
        self.ledger.add(f"{' '.join(words[1:3]) if words[1] == 'cache' else words[1]} ended with {answer.returncode}")
        return answer.returncode

    def fetch(self, dice: random.Random) -> None:
        images = dice.sample(self.place.images, dice.randint(1, 2))
        if dice.random() < 0.6:
            self.run(self.place.command("fetch", "--jobs", 1, *images), 0)
            return
        child = subprocess.Popen(self.place.command("fetch", *images), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(0.01, 0.3))
        child.send_signal(dice.choice((signal.SIGKILL, signal.SIGTERM)))
        self.ledger.add("fetches aborted")
        child.wait(self.bed.seconds(MOST_ABORT_SECONDS))

    def evict(self, dice: random.Random) -> None:
        code = self.run(self.place.command("cache", "evict", dice.choice(self.place.images)), 0, 1, 3)
        self.ledger.add("evictions by command", code == 0)

    def prune(self, _: random.Random) -> None:
        self.run(self.place.command("cache", "prune", "--offline"), 0)

    def verify(self, dice: random.Random) -> None:
        repairs = ["--repair"] if dice.random() < 0.5 else []
        self.run(self.place.command("cache", "verify", *repairs), 0)

    def look(self, _: random.Random) -> None:
        """Listing, status and attributes while all of that goes on."""
        began = time.monotonic()
        self.end_damage()
        try:
            os.listdir(self.bed.mount_point / "decrypt")
            self.place.status()
        except OSError as error:
            self.was_refused(READ_ERRORS, error, began, None)
        except ValueError:
            self.place.fail(READ_BYTES, "the status is no JSON")

    # --- faults ---

    def damage(self, dice: random.Random) -> None:
        """One bit of what lies in the cache changes behind everybody's back."""
        data = sorted((self.bed.cache / "objects").glob("*/data"))
        if not data:
            return
        path = dice.choice(data)
        image = path.parent.name[:36]
        with contextlib.suppress(FileNotFoundError), open(path, "r+b", buffering=0) as file:
            at = dice.randrange(os.fstat(file.fileno()).st_size)
            fault = self.ledger.begin("damage", errno.EBADMSG, image=image)
            byte = os.pread(file.fileno(), 1, at)
            os.pwrite(file.fileno(), bytes([byte[0] ^ 1 << dice.randrange(8)]), at)
            fault.identity, fault.file = identity_of(path), path

    def end_damage(self) -> None:
        """A damaged file may be read from memory for long; only when it is gone nobody can open it any more."""
        for fault in self.ledger.open_faults("damage"):
            if fault.file is not None and identity_of(fault.file) != fault.identity:
                fault.end = time.monotonic()

    def kill(self, dice: random.Random) -> None:
        """Mostly with SIGKILL, and the first time always."""
        time.sleep(dice.uniform(2, 6))
        if dice.random() < 0.8 or not self.ledger.counts["fault kill -9"]:
            with self.ledger.during("kill -9", *MOUNT_IS_GONE):
                self.place.kill()
                time.sleep(dice.uniform(0, 0.5))
                self.place.mount()
        else:
            with self.ledger.during("end by SIGTERM", *MOUNT_ENDS):
                equal(self.bed.stop(), 0, "the daemon's exit code")
                self.place.mount()

    def disturb_services(self, dice: random.Random) -> None:
        image = dice.choice(self.place.images)
        key = self.bed.cloud.record(image)["os_encrypt_key_id"]
        what, pause = dice.choice(("outage", "refusal", "delay", "stall")), dice.uniform(0.1, 0.8)
        if what == "outage":
            with self.ledger.during(what, errno.EIO, image=image):
                self.change_record(image, pause, glancefs_test_status=503)
        elif what == "refusal":
            with self.ledger.during(what, errno.EACCES, image=image):
                self.change_secret(key, pause, glancefs_test_status=403)
        elif what == "delay":
            with self.ledger.during(what):
                self.change_record(image, pause, glancefs_test_delay_ms=300)
        else:
            with self.ledger.during(what):
                self.change_record(image, pause, glancefs_test_stop_at=100 * KIB)

    def have_outage(self, _: random.Random) -> None:
        self.ledger.add("outages")
        self.place.cloud.outage()

    def change_record(self, image: str, seconds: float, **fields: object) -> None:
        set_record(self.bed, image, **fields)
        time.sleep(seconds)
        set_record(self.bed, image, **{name: None for name in fields})

    def change_secret(self, key: str, seconds: float, **fields: object) -> None:
        path = self.bed.cloud.path / "secrets" / f"{key}.json"
        before = path.read_text()
        replace_text(path, json.dumps({**json.loads(before), **fields}))
        time.sleep(seconds)
        replace_text(path, before)

    def fill_disk(self, dice: random.Random) -> None:
        filler = self.place.disk / "filler"
        with self.ledger.during("full disk", errno.ENOSPC, errno.EIO):
            with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(64 * KIB))
            time.sleep(dice.uniform(0.2, 1))
            filler.unlink()


def identity_of(path: Path) -> Optional[Tuple[int, int]]:
    with contextlib.suppress(FileNotFoundError):
        found = path.stat()
        return found.st_ino, found.st_mtime_ns
    return None


# --- all of them ---

def work(worker: Worker, place: Place, end: float) -> None:
    dice = random.Random(f"{place.seed} {place.name} {worker.name}")
    turns = 0
    try:
        while True:
            time.sleep(min(dice.uniform(0, worker.pause), max(0.0, end - time.monotonic())))
            if turns and time.monotonic() >= end:
                break
            worker.turn(dice)
            turns += 1
    except Exception:  # whatever it is: this worker is missing from now on
        place.fail(RUN, f"{worker.name} broke off in turn {turns + 1}: {traceback.format_exc()}")
    place.ledger.add(f"turns of {worker.name.rstrip(' 0123456789')}", turns)


def start(place: Place, seconds: float) -> Dict[str, threading.Thread]:
    begin, threads = time.monotonic(), {}
    for worker in Workers(place).all():
        end = begin + seconds * worker.share
        threads[worker.name] = threading.Thread(target=work, args=(worker, place, end), daemon=True)
        threads[worker.name].start()
    return threads


def join(place: Place, threads: Dict[str, threading.Thread], limit: float) -> None:
    """All of them must end; who does not waits for something that never comes."""
    end = time.monotonic() + limit
    for name, thread in threads.items():
        thread.join(max(0.1, end - time.monotonic()))
        if thread.is_alive():
            place.fail(WAITING, f"{name} did not come back")
