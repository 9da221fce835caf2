# SPDX-License-Identifier: Apache-2.0
"""`glancefs fetch` and `glancefs cache`, before a mount and beside one."""
import json
import os
import pty
import re
import select
import signal
import time
from pathlib import Path
from typing import List, Optional

from bed import Bed, check, equal, read_all, same_bytes
from messages import KIB, MIB, plaintext
from registry import test

DATA = plaintext(2 * MIB + 77, seed=31)


def cloud_options(bed: Bed) -> List[str]:
    return ["--cloud", bed.cloud.name, "--cache", str(bed.cache)]


def fetch(bed: Bed, *arguments: object, **options: object):
    return bed.glancefs("fetch", *cloud_options(bed), *arguments, **options)


def start_fetch(bed: Bed, *arguments: object, **options: object):
    return bed.start(bed.program, "fetch", *cloud_options(bed), *arguments, **options)


def cache(bed: Bed, *arguments: object, **options: object):
    return bed.glancefs("cache", *arguments, "--cache", bed.cache, **options)


def cached(bed: Bed) -> dict:
    """The state of each object by its image."""
    return {one["image_id"]: one for one in json.loads(cache(bed, "list", "--json").stdout)}


def usage(bed: Bed) -> dict:
    return json.loads(cache(bed, "usage", "--json").stdout)


def data_of(bed: Bed, place: str, image: str) -> Optional[Path]:
    return next(iter((bed.cache / place).glob(f"{image}*/data")), None)


def set_record(bed: Bed, image: str, **fields: object) -> None:
    """Changes the image's record; None takes a field away."""
    record = {**bed.cloud.record(image), **fields}
    bed.cloud.write_record(image, {k: v for k, v in record.items() if v is not None})


def stop_download_at(bed: Bed, image: str, size: int) -> None:
    set_record(bed, image, glancefs_test_stop_at=size)


def let_download_go_on(bed: Bed, image: str) -> None:
    set_record(bed, image, glancefs_test_stop_at=None)


def wait_for_partial(bed: Bed, image: str, size: int) -> None:
    def has_come() -> bool:
        data = data_of(bed, "partial", image)
        return data is not None and data.exists() and data.stat().st_size >= size
    bed.wait_for(has_come, 20, f"{size} bytes of the download")


def flip(path: Path, at: int) -> None:
    with open(path, "r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 1]))


def is_quarantined(bed: Bed, image: str) -> bool:
    return data_of(bed, "quarantine", image) is not None


# --- fetch ---

@test
def what_was_fetched_before_the_mount_is_not_fetched_by_it(bed):
    image = bed.image(DATA)
    fetch(bed, image)
    bed.cloud.data(image).write_bytes(b"gone")
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


@test
def what_was_fetched_beside_the_mount_is_not_fetched_by_it(bed):
    image, open_one = bed.image(DATA), bed.image(b"read meanwhile")
    bed.mount()
    with open(bed.view(open_one), "rb", buffering=0) as stream:
        fetch(bed, image, open_one)
        bed.cloud.data(image).write_bytes(b"gone")
        same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
        same_bytes(stream.read(), b"read meanwhile", "the open stream")


@test
def a_fetch_and_a_reader_share_one_download(bed):
    image = bed.image(DATA)
    stored = bed.cloud.data(image).read_bytes()
    stop_download_at(bed, image, MIB)
    bed.mount()
    child = start_fetch(bed, "--json", image, stdout=-1)
    wait_for_partial(bed, image, MIB)
    reader = bed.start("cat", bed.view(image), stdout=-1)
    time.sleep(0.3)
    # What came already would be wrong if somebody asked for it again.
    bed.cloud.data(image).write_bytes(bytes(MIB) + stored[MIB:])
    let_download_go_on(bed, image)
    same_bytes(reader.communicate(timeout=bed.seconds(20))[0], DATA, "cat's output")
    answer = child.communicate(timeout=bed.seconds(20))[0]
    equal(child.returncode, 0, "the exit code of fetch")
    equal(json.loads(answer)["result"], "fetched", "the result")


@test
def two_fetches_of_one_image_make_one_download(bed):
    image = bed.image(DATA)
    stored = bed.cloud.data(image).read_bytes()
    stop_download_at(bed, image, MIB)
    first = start_fetch(bed, "--json", image, stdout=-1)
    wait_for_partial(bed, image, MIB)
    second = start_fetch(bed, "--json", image, stdout=-1)
    time.sleep(0.3)
    bed.cloud.data(image).write_bytes(bytes(MIB) + stored[MIB:])
    let_download_go_on(bed, image)
    results = [json.loads(child.communicate(timeout=bed.seconds(20))[0])["result"]
               for child in (first, second)]
    equal(results, ["fetched", "present"], "the results")
    same_bytes(data_of(bed, "objects", image).read_bytes(), stored, "the object")


def resumes_after(bed: Bed, end) -> None:
    """Interrupts a fetch in its middle; the next one asks only for what is missing."""
    image = bed.image(plaintext(8 * MIB, seed=32))
    stored = bed.cloud.data(image).read_bytes()
    stop_download_at(bed, image, 5 * MIB)
    child = start_fetch(bed, image)
    wait_for_partial(bed, image, 5 * MIB)
    end(child)
    present = data_of(bed, "partial", image).stat().st_size
    check(present >= 5 * MIB, f"only {present} bytes were kept")
    equal(cached(bed)[image]["state"], "partial", "the state")
    equal(cached(bed)[image]["data_bytes"], present, "data_bytes")
    equal(cached(bed)[image]["in_use"], False, "in_use")
    bed.cloud.data(image).write_bytes(bytes(present) + stored[present:])
    let_download_go_on(bed, image)
    fetch(bed, image)
    same_bytes(data_of(bed, "objects", image).read_bytes(), stored, "the object")
    equal(os.listdir(bed.cache / "partial"), [], "what is left of the download")


@test
def a_killed_fetch_is_resumed_where_it_ended(bed):
    def kill(child) -> None:
        child.kill()
        child.wait()
    resumes_after(bed, kill)


@test
def an_interrupted_fetch_ends_at_once_and_is_resumed(bed):
    def interrupt(child) -> None:
        begin = time.monotonic()
        child.send_signal(signal.SIGINT)
        equal(child.wait(bed.seconds(10)), 130, "the exit code")
        took = time.monotonic() - begin
        check(took < bed.seconds(1), f"it took {took:.1f} s to end")
        equal(child.stderr.read(), b"glancefs fetch: interrupted\n", "what it said")
    resumes_after(bed, interrupt)


@test
def a_killed_fetch_of_a_replaced_image_begins_anew(bed):
    image = bed.image(DATA)
    stop_download_at(bed, image, MIB)
    child = start_fetch(bed, image)
    wait_for_partial(bed, image, MIB)
    child.kill()
    child.wait()
    other = plaintext(MIB, seed=33)
    bed.image(other, image=image)
    fetch(bed, image)
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, other, "cat's output")
    equal(os.listdir(bed.cache / "partial"), [], "what is left of the first download")


@test
def the_mount_resumes_what_a_killed_fetch_left(bed):
    image = bed.image(DATA)
    stored = bed.cloud.data(image).read_bytes()
    stop_download_at(bed, image, MIB)
    child = start_fetch(bed, image)
    wait_for_partial(bed, image, MIB)
    child.kill()
    child.wait()
    bed.cloud.data(image).write_bytes(bytes(MIB) + stored[MIB:])
    let_download_go_on(bed, image)
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


@test
def fetch_evicts_what_was_used_longest_ago(bed):
    images = [bed.image(plaintext(MIB, seed=40 + n)) for n in range(4)]
    limits = {**os.environ, "GLANCEFS_MAX_SIZE": str(3 * MIB + 256 * KIB), "GLANCEFS_MIN_FREE": "0"}
    for age, image in zip((300, 200, 100), images):
        fetch(bed, image, env=limits)
        when = time.time() - age
        os.utime(data_of(bed, "objects", image).with_name("meta.json"), (when, when))
    bed.mount("-o", "min_free=0")
    bed.run("cat", bed.view(images[0]))
    fetch(bed, images[3], env=limits)
    equal(set(cached(bed)), {images[0], images[2], images[3]}, "what is in the cache")


@test
def fetch_fails_when_all_that_could_go_is_in_use(bed):
    small, big = bed.image(plaintext(MIB, seed=44)), bed.image(plaintext(2 * MIB, seed=45))
    limits = {**os.environ, "GLANCEFS_MAX_SIZE": "2500K", "GLANCEFS_MIN_FREE": "0"}
    bed.mount("-o", "min_free=0")
    with open(bed.view(small), "rb", buffering=0) as stream:
        answer = fetch(bed, big, code=1, env=limits)
        check(big.encode() in answer.stderr, f"it says {answer.stderr!r}")
        same_bytes(read_all(stream.fileno()), plaintext(MIB, seed=44), "the open stream")
    equal(set(cached(bed)), {small}, "what is in the cache")


@test
def a_terminal_shows_a_row_for_each_image(bed):
    images = [bed.image(plaintext(2 * MIB, seed=50 + n)) for n in range(2)]
    for image in images:
        stop_download_at(bed, image, MIB)
    ours, theirs = pty.openpty()
    child = start_fetch(bed, *images, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = ""

    def has_shown(*patterns: str) -> bool:
        nonlocal shown
        if select.select([ours], [], [], 0.05)[0]:
            try:
                shown += os.read(ours, 1 << 16).decode()
            except OSError:  # the other side is gone
                pass
        return all(re.search(pattern, shown) for pattern in patterns)
    bed.wait_for(lambda: has_shown(*[rf"{image} +\d+ % .*MiB \[#+\.+\]" for image in images]), 20,
                 f"a bar for each image in {shown!r}")
    for image in images:
        let_download_go_on(bed, image)
    bed.wait_for(lambda: has_shown(*[rf"{image}  fetched " for image in images]), 20,
                 f"a line for each image in {shown!r}")
    equal(child.wait(bed.seconds(20)), 0, "the exit code")
    os.close(ours)


# --- cache ---

@test
def an_open_image_is_in_use_and_not_evicted(bed):
    image = bed.image(DATA)
    bed.mount()
    fd = os.open(bed.view(image), os.O_RDONLY)
    got = os.read(fd, 4096)
    equal(cached(bed)[image]["in_use"], True, "in_use")
    answer = cache(bed, "evict", image, code=1)
    check(b"in use" in answer.stderr, f"it says {answer.stderr!r}")
    cache(bed, "prune")
    same_bytes(got + read_all(fd), DATA, "the open stream")
    os.close(fd)
    bed.wait_for(lambda: not cached(bed)[image]["in_use"], 10, "the image to be let go")
    cache(bed, "evict", image)
    equal(cached(bed), {}, "what is in the cache")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output after a new fetch")


@test
def an_evicted_image_is_fetched_again_at_its_next_open(bed):
    image = bed.image(DATA)
    bed.mount()
    for _ in range(3):
        same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
        bed.wait_for(lambda: not cached(bed)[image]["in_use"], 10, "the image to be let go")
        cache(bed, "evict", image)
        equal(cached(bed), {}, "what is in the cache")


@test
def verify_finds_a_flipped_bit_and_repair_fetches_it_again(bed):
    image, other = bed.image(DATA), bed.image(plaintext(MIB, seed=34))
    bed.mount()
    fetch(bed, image, other)
    cache(bed, "verify")
    flip(data_of(bed, "objects", image), MIB + 5)
    answer = cache(bed, "verify", "--json", code=5)
    results = {one["image_id"]: one["result"]
               for one in map(json.loads, answer.stdout.splitlines())}
    equal(results, {image: "damaged", other: "sound"}, "the results")
    check(is_quarantined(bed, image), "it is not in quarantine")
    equal(data_of(bed, "objects", image), None, "the object")
    bed.glancefs("cache", "verify", "--repair", *cloud_options(bed))
    same_bytes(data_of(bed, "objects", image).read_bytes(), bed.cloud.data(image).read_bytes(),
               "the object after the repair")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


@test
def what_verify_set_aside_is_fetched_at_the_next_open(bed):
    image = bed.image(DATA)
    fetch(bed, image)
    flip(data_of(bed, "objects", image), 99)
    cache(bed, "verify", code=5)
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    check(is_quarantined(bed, image), "it is not in quarantine any more")
    cache(bed, "prune")
    check(not is_quarantined(bed, image), "it is still in quarantine")
    equal(cached(bed)[image]["state"], "complete", "the state")


@test
def verify_of_an_open_image_that_is_damaged_fails_its_reader(bed):
    image = bed.image(DATA)
    bed.mount()
    fd = os.open(bed.view(image), os.O_RDONLY)
    flip(data_of(bed, "objects", image), MIB + 5)
    cache(bed, "verify", image, code=5)
    check(is_quarantined(bed, image), "it is not in quarantine")
    try:
        got = read_all(fd)
    except OSError:
        got = b""
    check(len(got) < len(DATA), "the damaged image was read to its end")
    try:
        os.close(fd)
    except OSError:
        pass
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output after a new fetch")


@test
def usage_agrees_with_the_directory(bed):
    images = [bed.image(plaintext(size, seed=60)) for size in (100, MIB, 3 * MIB + 1)]
    fetch(bed, *images)
    flip(data_of(bed, "objects", images[1]), 5)
    cache(bed, "verify", code=5)
    stop = bed.image(plaintext(2 * MIB, seed=61))
    stop_download_at(bed, stop, MIB)
    child = start_fetch(bed, stop)
    wait_for_partial(bed, stop, MIB)

    def sizes(place: str) -> List[int]:
        return [path.stat().st_size for path in (bed.cache / place).glob("*/data")]
    found = usage(bed)
    for place, count, size in (("objects", "objects", "stored_bytes"),
                               ("partial", "partial_objects", "partial_bytes"),
                               ("quarantine", "quarantined_objects", "quarantined_bytes")):
        equal((found[count], found[size]), (len(sizes(place)), sum(sizes(place))), place)
    total = bed.cloud.data(stop).stat().st_size
    promised = found["partial_bytes"] + found["reserved_bytes"]
    check(total <= promised <= total + 64 * KIB, f"{promised} bytes for a download of {total}")
    expected = sum(bed.cloud.data(image).stat().st_size for image in images) + total
    check(expected <= found["used_bytes"] <= expected + 4 * 64 * KIB,
          f"used_bytes: {found['used_bytes']}, data: {expected}")
    equal(cached(bed)[stop]["in_use"], True, "in_use of the download")
    let_download_go_on(bed, stop)
    equal(child.wait(bed.seconds(20)), 0, "the exit code of fetch")
    found = usage(bed)
    equal((found["partial_objects"], found["partial_bytes"], found["reserved_bytes"]), (0, 0, 0),
          "what is left of the download")


@test
def prune_asks_which_images_there_are_and_spares_readers(bed):
    images = [bed.image(plaintext(MIB, seed=70 + n)) for n in range(3)]
    bed.mount()
    fetch(bed, *images)
    with open(bed.view(images[0]), "rb", buffering=0) as stream:
        for image in images[:2]:
            bed.cloud.remove(image)
        answer = bed.glancefs("cache", "prune", "--json", *cloud_options(bed))
        found = json.loads(answer.stdout)
        equal((found["asked"], found["gone_images"], found["kept_images"]), (True, 1, 1), "the answer")
        equal(set(cached(bed)), {images[0], images[2]}, "what is in the cache")
        same_bytes(read_all(stream.fileno()), plaintext(MIB, seed=70), "the open stream")


@test
def prune_drops_a_download_that_nobody_goes_on_with(bed):
    images = [bed.image(plaintext(2 * MIB, seed=80 + n)) for n in range(2)]
    for image in images:
        stop_download_at(bed, image, MIB)
    children = [start_fetch(bed, image) for image in images]
    for image in images:
        wait_for_partial(bed, image, MIB)
    children[0].kill()
    children[0].wait()
    cache(bed, "prune")
    equal(set(cached(bed)), {images[1]}, "what is in the cache")
    let_download_go_on(bed, images[1])
    equal(children[1].wait(bed.seconds(20)), 0, "the exit code of fetch")


@test
def who_asks_no_cloud_locks_no_memory(bed):
    image = bed.image(DATA)
    fetch(bed, image)
    unable_to_lock = ["prlimit", "--memlock=0:0", "setpriv", "--bounding-set", "-ipc_lock", bed.program]
    if bed.slowness == 1:  # under a sanitizer nobody locks any
        bed.run(*unable_to_lock, "fetch", *cloud_options(bed), image, code=1)
    for arguments in (["list"], ["usage"], ["verify"], ["prune"], ["evict", image]):
        bed.run(*unable_to_lock, "cache", *arguments, "--cache", bed.cache)


@test
def observers_change_nothing(bed):
    image = bed.image(DATA)
    fetch(bed, image)

    def state() -> list:
        return sorted((str(path), path.lstat().st_mtime_ns, path.lstat().st_size)
                      for path in bed.cache.rglob("*"))
    before = state()
    for arguments in (["list"], ["list", "--json"], ["usage"], ["usage", "--json"]):
        cache(bed, *arguments)
    equal(state(), before, "the cache")
