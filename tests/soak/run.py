#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two mounts under mixed load and faults: run.py --glancefs PROGRAM [--seconds N] [--seed S].

One mount is of a local cloud, with its cache on a small disk, the other of OpenStack's services over HTTP. Readers
(also several of one image, and some that a signal ends), writers (also some that break off), fetches, evictions,
prunes and verifications work side by side, while services fail, tokens expire, bits of the cache change, the disk
fills up, and, in the first half, daemons are killed and mounted anew.

Mounts verify before they show anything (verify=first) or while they do (verify=stream), in turns. Every byte that a
reader gets is compared, and every image that became active is decrypted with gpg and compared. Who sees an error must
have met a fault that explains it. In the end, when the faults are over: everything can be read,
everything that was sealed is active, and each mount holds no more than at the start. What was done is told; the
choices depend on the seed only, the interleaving does not.
"""
import argparse
import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, List, Optional

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "mount")]
sys.dont_write_bytecode = True

import workers  # noqa: E402
from bed import Bed, Failure, check, equal, mounted_below, same_bytes  # noqa: E402
from faulty_cloud import ServedCloud  # noqa: E402
from place import LocalPlace, OpenstackPlace, Place  # noqa: E402
from runner import our_daemons, slowness  # noqa: E402
from write_bed import part_of, sealed_in_cache, status_of  # noqa: E402

QUIET_SECONDS = 90
MOST_TOLD = 5
MOST_LOG_LINES = 20
UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
RESOURCES = (("descriptors and threads", ("files", "connections", "threads", "streams")),
             ("memory", ("resident KiB", "locked KiB", "arena bytes")))


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def tell(self, name: str, reasons: List[str]) -> None:
        if reasons:
            self.failed += 1
            more = f"\n  and {len(reasons) - MOST_TOLD} more" if len(reasons) > MOST_TOLD else ""
            print(f"FAIL {name}: " + "\n  ".join(reasons[:MOST_TOLD]) + more, flush=True)
        else:
            self.passed += 1
            print(f"ok   {name}", flush=True)

    def check(self, name: str, action: Callable[[], None]) -> None:
        reason: Optional[str] = None
        try:
            action()
        except (Failure, OSError, subprocess.SubprocessError, ValueError, KeyError) as failure:
            reason = f"{type(failure).__name__}: {failure}"
        self.tell(name, [reason] if reason else [])


# --- before ---

def begin(place: Place) -> None:
    place.add_images()
    place.mount()
    # Several at a time: what is kept for the next one is there then. What fails is a fault of the services.
    readers = [place.bed.start("cat", place.bed.view(image)) for image in place.images[:8]]
    for reader in readers:
        reader.communicate()
    time.sleep(place.bed.seconds(1))
    place.before = place.resources()


# --- after ---

def every_image_is_read(place: Place) -> None:
    for image, data in place.data.items():
        # What was damaged may be found out now, once.
        for is_last in (False, True):
            try:
                same_bytes(place.bed.view(image).read_bytes(), data, image)
                break
            except OSError as error:
                if is_last or not place.ledger.explains(error.errno, time.monotonic(), image):
                    raise


def drop_unsealed(place: Place) -> None:
    """What nobody could remove while services failed would be kept, with its memory, until it was idle for long."""
    for image in place.unsealed + [one.image for one in place.pending if not one.is_sealed]:
        if image not in sealed_in_cache(place.bed):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part_of(place.bed, image))


def uploads_end(place: Place) -> None:
    """Each that was sealed is sent, after an outage at the latest by the daemon's next attempt."""
    listed = json.loads(subprocess.run(place.command("uploads", "list", "--json"), check=True,
                                       capture_output=True).stdout)
    failed = [one for one in listed if one.get("state") == "failed"]
    equal(failed, [], "uploads that failed for good")
    place.bed.wait_for(lambda: all(place.is_done(one.image) for one in place.pending if one.is_sealed),
                       QUIET_SECONDS, "the uploads of what was sealed")


def unanswered_are_whole_or_nothing(place: Place) -> None:
    for one in place.pending:
        if status_of(place.bed, one.image) == "active":
            place.audit(one)
            continue
        check(not one.is_sealed, f"{one.image} was sealed and is {status_of(place.bed, one.image)}")
        never_became_an_image(place, one.image)


def never_became_an_image(place: Place, image: str) -> None:
    equal(status_of(place.bed, image), "queued", f"the status of {image}, which was not sealed")
    check(not place.bed.cloud.data(image).exists(), f"{image}, which was not sealed, has data")


def remount(place: Place) -> None:
    equal(place.bed.stop(), 0, "the daemon's exit code")
    place.mount()


def end_of_cache(place: Place) -> None:
    subprocess.run(place.command("cache", "prune", "--offline"), check=True, stdout=subprocess.DEVNULL)
    place.leftovers()


def nothing_runs(place: Place) -> None:
    """Also no mount, and no socket: they belong to processes, or would lie in the directory."""
    equal([one for one in mounted_below(place.bed.tmp) if one != str(place.bed.tmp / "disk")], [], "mounts")
    equal(list(our_daemons(place.bed.program, place.bed.tmp)), [], "processes")
    equal([str(path) for path in place.bed.tmp.rglob("*") if path.is_socket()], [], "sockets")


def quiet(place: Place, report: Report) -> None:
    """The faults are over."""
    name = place.name
    report.check(f"{name}: what was not sealed can be removed", lambda: drop_unsealed(place))
    report.check(f"{name}: no sealed write is lost", lambda: uploads_end(place))
    report.check(f"{name}: every image can be read when the faults are over", lambda: every_image_is_read(place))
    found = place.status()["cache"]
    place.ledger.add("evictions for room by the last daemon", found["evictions"])
    place.ledger.add("bytes evicted for room by the last daemon", found["evicted_bytes"])
    for what, kinds in RESOURCES:
        report.check(f"{name}: {what} as at the start", lambda kinds=kinds: place.settles(*kinds))
    print(f"     {name} held at the start {place.before}\n     {name} holds in the end   {place.resources()}")
    report.check(f"{name}: ends and starts well", lambda: remount(place))
    report.check(f"{name}: unanswered seals are whole or nothing", lambda: unanswered_are_whole_or_nothing(place))
    report.check(f"{name}: what was not sealed is no image",
                 lambda: [never_became_an_image(place, image) for image in place.unsealed])
    report.check(f"{name}: files as at the start", lambda: end_of_cache(place))


def tell_what_happened(place: Place, report: Report) -> None:
    for kind in (workers.READ_BYTES, workers.READ_ERRORS, workers.WRITE_ERRORS, workers.IMAGES,
                 workers.COMMANDS, workers.WAITING, workers.RUN):
        report.tell(f"{place.name}: {kind}", place.failures.get(kind, []))
    counts = place.ledger.counts
    needed = ("opens with verify=first", "opens with verify=stream", "seals", "uploads compared", "fault kill -9",
              "fault damage", "evictions by command", "evictions for room by the last daemon", "readers aborted",
              "writers aborted")
    report.tell(f"{place.name}: all of it happened", [what for what in needed if not counts[what]])
    print(f"     {place.name}: " + ", ".join(f"{what} {count}" for what, count in sorted(counts.items())))


def tell_of_services(cloud: ServedCloud, report: Report) -> None:
    counts = cloud.counts()
    faults = [what for what in counts if not what.endswith(": requests")]
    needed = ("token: refused", "any: revoke", "any: reset", "download: ", "upload: ")
    report.tell("the services: all of it happened",
                [what for what in needed if not any(one.startswith(what) for one in faults)])
    report.tell("the services did what they were to do", [what for what in counts if "broken" in what])
    print(f"     the services: {', '.join(f'{what} {count}' for what, count in sorted(counts.items()))}")


def tell_log(place: Place) -> None:
    """What the daemon said of the images that failures name, and how its log ends."""
    lines = place.bed.log_text().splitlines()
    named = {image for reasons in place.failures.values() for reason in reasons for image in UUID.findall(reason)}
    about = [line for line in lines if named.intersection(UUID.findall(line))]
    print(f"  the log of {place.name} ends:", *lines[-MOST_LOG_LINES:], sep="\n")
    if about:
        print("  and says of what failed:", *about[-MOST_LOG_LINES:], sep="\n", flush=True)


# --- the run ---

def soak(places: List[Place], seconds: float, report: Report) -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(begin, places))
    cloud = places[1].cloud
    with contextlib.ExitStack() as stack:
        # Any answer of the services may be a fault of theirs.
        stack.enter_context(places[1].ledger.during("services", *workers.ERRORS_OF_CODE[7], *workers.ERRORS_OF_CODE[5]))
        threads = [workers.start(place, seconds) for place in places]
        for place, those in zip(places, threads):
            workers.join(place, those, place.bed.seconds(seconds + 120))
        cloud.calm()
    for place in places:
        quiet(place, report)
        tell_what_happened(place, report)
    tell_of_services(cloud, report)


def close(place: Place, report: Report) -> None:
    report.check(f"{place.name}: the daemon ends well", place.bed.close)
    report.check(f"{place.name}: no mount, process or socket is left", lambda: nothing_runs(place))
    with contextlib.suppress(Failure):
        place.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Two mounts under mixed load and faults.")
    parser.add_argument("--glancefs", type=Path, required=True, help="the program")
    parser.add_argument("--seconds", type=float, default=60, help="how long the load lasts, by default 60")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of all that is random")
    parser.add_argument("--keep", action="store_true", help="keep the directory with the daemons' logs")
    arguments = parser.parse_args()
    program = arguments.glancefs.resolve()
    directory = Path(tempfile.mkdtemp(prefix="glancefs-soak-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # Or readers could not be interrupted where the run was started in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # What each of many heaps keeps for later would hide what is lost.
    os.environ["MALLOC_ARENA_MAX"] = "1"
    print(f"--seconds {arguments.seconds:g} --seed {arguments.seed}", flush=True)
    places, report = [], Report()
    try:
        for kind, name in ((OpenstackPlace, "openstack"), (LocalPlace, "local")):
            (directory / name).mkdir()
            bed = Bed(program, directory / name, directory, slowness(program))
            places.insert(0, kind(bed, arguments.seed))
        soak(places, arguments.seconds, report)
    finally:
        for place in places:
            close(place, report)
        if report.failed:
            for place in places:
                tell_log(place)
        for place in places:
            place.bed.gpg.stop()
        if not arguments.keep:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            print(f"  kept: {directory}")
    print(f"{report.passed} passed, {report.failed} failed")
    return 0 if report.failed == 0 and report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
