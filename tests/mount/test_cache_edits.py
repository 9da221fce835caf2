# SPDX-License-Identifier: Apache-2.0
"""Every file of the cache, edited by hand: readers get the image or an error, never other bytes, and the
image is back by the second read at the latest."""
import errno
import functools
import json
import os
import shutil
import time

from bed import check, equal, raises, same_bytes
from messages import KIB, MIB, plaintext
from registry import add, test

SIZE = MIB + 300 * KIB
YEAR = 365 * 24 * 3600


def object_of(bed, image):
    [path] = (bed.cache / "objects").glob(f"{image}*")
    return path


def replace(path, data):
    """Another file under the same name, as an editor leaves it."""
    new = path.with_name(path.name + ".editor")
    new.write_bytes(data)
    new.chmod(0o600)
    new.rename(path)


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    replace(path, data)


def flip_in_place(path, at):
    facts = path.stat()
    with open(path, "r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)
        stream.seek(at)
        stream.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def to_link(path):
    aside = path.parent.parent.parent / f"aside-{path.name}"
    path.rename(aside)
    path.symlink_to(aside)


def to_directory(path):
    path.unlink()
    path.mkdir(mode=0o700)


def to_fifo(path):
    path.unlink()
    os.mkfifo(path, 0o600)


def to_directory_link(path):
    aside = path.parent.parent / "aside"
    path.rename(aside)
    path.symlink_to(aside)


def change_field(path, name, value):
    metadata = json.loads(path.read_text())
    check(name in metadata, f"the metadata has no {name}: {metadata}")
    replace(path, json.dumps({**metadata, name: value}).encode())


EDITS = {
    "data_with_a_bit_flipped": lambda path: flip(path / "data", SIZE // 2),
    "data_with_a_bit_flipped_in_place": lambda path: flip_in_place(path / "data", SIZE // 2),
    "data_with_its_first_byte_changed": lambda path: flip_in_place(path / "data", 0),
    "data_with_its_last_byte_changed": lambda path: flip_in_place(path / "data", -1 + (path / "data").stat().st_size),
    "data_cut_short": lambda path: os.truncate(path / "data", SIZE // 3),
    "data_without_bytes": lambda path: os.truncate(path / "data", 0),
    "data_made_longer": lambda path: replace(path / "data", (path / "data").read_bytes() + b"\0"),
    "data_removed": lambda path: (path / "data").unlink(),
    "data_made_a_link": lambda path: to_link(path / "data"),
    "data_made_a_directory": lambda path: to_directory(path / "data"),
    "data_made_a_fifo": lambda path: to_fifo(path / "data"),
    "metadata_emptied": lambda path: os.truncate(path / "meta.json", 0),
    "metadata_cut_short": lambda path: os.truncate(path / "meta.json", 60),
    "metadata_made_longer": lambda path: replace(path / "meta.json", (path / "meta.json").read_bytes() + b"{}"),
    "metadata_of_zeros": lambda path: replace(path / "meta.json", bytes(300)),
    "metadata_removed": lambda path: (path / "meta.json").unlink(),
    "metadata_made_a_link": lambda path: to_link(path / "meta.json"),
    "metadata_made_a_fifo": lambda path: to_fifo(path / "meta.json"),
    "metadata_made_a_directory": lambda path: to_directory(path / "meta.json"),
    "metadata_of_a_newer_version": lambda path: change_field(path / "meta.json", "version", 2),
    "metadata_with_another_size": lambda path: change_field(path / "meta.json", "size", 17),
    "metadata_with_another_image": lambda path: change_field(path / "meta.json", "image_id",
                                                             "11111111-1111-4111-8111-111111111111"),
    "metadata_with_another_hash": lambda path: change_field(path / "meta.json", "hash_value", "ab" * 64),
    "an_object_removed": shutil.rmtree,
    "an_object_made_a_link": to_directory_link,
    "an_object_made_a_file": lambda path: (shutil.rmtree(path), path.write_bytes(b"x")),
    "an_object_emptied": lambda path: (shutil.rmtree(path), path.mkdir(mode=0o700)),
}


def read_soon(bed, image, data):
    """The first reader may be told that what is there is not right; the second gets the image."""
    target = bed.target / "copy"
    answer = bed.run("cp", bed.view(image), target, code=None)
    if answer.returncode == 0:
        same_bytes(target.read_bytes(), data, "the first copy")
    else:
        check(os.strerror(errno.EBADMSG) in answer.stderr.decode(), f"the first reader was told {answer.stderr!r}")
        bed.run("cp", bed.view(image), target)
        same_bytes(target.read_bytes(), data, "the second copy")


def is_survived(edit, restarts, bed):
    data = plaintext(SIZE, 3)
    image = bed.image(data)
    bed.mount()
    read_soon(bed, image, data)
    if restarts:
        equal(bed.stop(), 0, "the daemon's exit code")
    EDITS[edit](object_of(bed, image))
    if restarts:
        bed.mount()
    read_soon(bed, image, data)
    read_soon(bed, image, data)
    same_bytes((object_of(bed, image) / "data").read_bytes(), bed.cloud.data(image).read_bytes(), "the cached file")


for edited in EDITS:
    add(f"{edited}_is_survived_by_a_mount", functools.partial(is_survived, edited, False))
    add(f"{edited}_is_survived_by_the_next_mount", functools.partial(is_survived, edited, True))


# --- the directory itself ---

def mounted_once(bed):
    data = plaintext(SIZE, 4)
    image = bed.image(data)
    bed.mount()
    read_soon(bed, image, data)
    equal(bed.stop(), 0, "the daemon's exit code")
    return image, data


def refused_untouched(bed, *words):
    before = {path: path.lstat().st_mtime_ns for path in bed.cache.rglob("*")}
    answer = bed.run(*bed.mount_command(), code=None)
    check(answer.returncode != 0, "the mount came up")
    for word in words:
        check(word in answer.stderr.decode(), f"{word} is not in {answer.stderr!r}")
    equal({path: path.lstat().st_mtime_ns for path in bed.cache.rglob("*")}, before, "the cache")


@test
def a_cache_of_a_newer_version_is_refused_untouched(bed):
    mounted_once(bed)
    replace(bed.cache / "format", b"glancefs-cache 2\n")
    refused_untouched(bed, "newer", str(bed.cache))


@test
def a_cache_with_a_damaged_format_file_is_refused_untouched(bed):
    mounted_once(bed)
    for text in (b"", b"glancefs-cache 1", b"glancefs-cache 01\n", b"something else\n", bytes(5000)):
        replace(bed.cache / "format", text)
        refused_untouched(bed, str(bed.cache))


@test
def files_that_are_not_ours_are_reported_and_left_alone(bed):
    image, data = mounted_once(bed)
    strangers = [bed.cache / "objects" / "README", bed.cache / "partial" / "core", bed.cache / "notes"]
    for stranger in strangers:
        stranger.write_bytes(b"mine")
    (bed.cache / "objects" / "directory").mkdir()
    bed.mount()
    read_soon(bed, image, data)
    for stranger in strangers:
        same_bytes(stranger.read_bytes(), b"mine", str(stranger))
    check((bed.cache / "objects" / "directory").is_dir(), "somebody's directory is gone")
    for name in ("README", "core"):
        check(name in bed.log_text(), f"the log does not name {name}: {bed.log_text()}")


@test
def places_that_are_links_are_refused(bed):
    mounted_once(bed)
    (bed.cache / "objects").rename(bed.tmp / "target" / "objects")
    (bed.cache / "objects").symlink_to(bed.tmp / "target" / "objects")
    answer = bed.run(*bed.mount_command(), code=None)
    check(answer.returncode != 0, "the mount came up")


@test
def a_second_mount_of_a_cache_is_refused(bed):
    bed.image(plaintext(SIZE, 5))
    bed.mount()
    other = bed.tmp / "target" / "other"
    other.mkdir()
    answer = bed.run(*bed.mount_command()[:-1], other, code=None)
    check(answer.returncode != 0, "the second mount came up")
    check("another glancefs mount uses it" in answer.stderr.decode(), f"it was told {answer.stderr!r}")


# --- the clock ---

@test
def a_last_use_in_the_future_keeps_nothing_from_being_evicted(bed):
    data = [plaintext(SIZE, seed) for seed in (6, 7)]
    images = [bed.image(bytes_of) for bytes_of in data]
    bed.mount("-o", f"max_size={SIZE * 3 // 2}")
    read_soon(bed, images[0], data[0])
    future = time.time() + YEAR
    os.utime(object_of(bed, images[0]) / "meta.json", (future, future))
    read_soon(bed, images[1], data[1])
    equal(list((bed.cache / "objects").glob(f"{images[0]}*")), [], "the image that was to be used in the future")


@test
def a_clock_that_went_back_makes_nothing_old(bed):
    data = plaintext(SIZE, 8)
    image = bed.image(data)
    bed.mount("-o", "max_age=3600")
    read_soon(bed, image, data)
    equal(bed.stop(), 0, "the daemon's exit code")
    future = time.time() + YEAR
    os.utime(object_of(bed, image) / "meta.json", (future, future))
    bed.mount("-o", "max_age=3600")
    time.sleep(0.3)
    check(object_of(bed, image).is_dir(), "the object is gone")


@test
def what_was_not_used_for_max_age_is_removed_by_the_next_mount(bed):
    data = plaintext(SIZE, 9)
    image = bed.image(data)
    bed.mount("-o", "max_age=3600")
    read_soon(bed, image, data)
    equal(bed.stop(), 0, "the daemon's exit code")
    past = time.time() - 2 * 3600
    os.utime(object_of(bed, image) / "meta.json", (past, past))
    bed.mount("-o", "max_age=3600")
    bed.wait_for(lambda: not list((bed.cache / "objects").iterdir()), 10, "the old object to go")
    read_soon(bed, image, data)
    raises(errno.ENOENT, lambda: os.stat(bed.view("11111111-1111-4111-8111-111111111111")), "another image")
