# SPDX-License-Identifier: Apache-2.0
"""verify=stream: bytes while the image arrives, but nobody mistakes a damaged one for whole."""
import errno
import json
import os
import threading

from bed import PASSPHRASE, check, equal, raises, read_all, same_bytes
from messages import KIB, MIB, QUICK, UNCOMPRESSED, compressible, flip, plaintext
from registry import add, test
from test_page_cache import WAYS
import kernel

SIZE = 5 * MIB + 17
DATA = plaintext(SIZE, seed=40)
WITHHELD = MIB


def mount(bed, *options):
    bed.mount("-o", ",".join(("verify=stream", *options)))


def stored_message(bed, data=DATA, *options):
    return bed.gpg.encrypt(data, PASSPHRASE, *QUICK, *(options or UNCOMPRESSED))


def stop_at(bed, image, size):
    """The download of this image gets so far and waits; None lets it go on."""
    record = bed.cloud.record(image)
    record.pop("glancefs_test_stop_at", None)
    if size is not None:
        record["glancefs_test_stop_at"] = size
    bed.cloud.write_record(image, record)


def fail_from_now_on(bed, image):
    bed.cloud.write_record(image, {**bed.cloud.record(image), "glancefs_test_status": 503})


def status(bed):
    return json.loads((bed.mount_point / "status").read_text())


def counters(bed):
    return status(bed)["counters"]


# --- sound images ---

TOOLS = {
    "cp": ("cp", "VIEW", "TARGET"),
    "dd": ("dd", "if=VIEW", "of=TARGET", "bs=1M"),
    "dd_with_a_count": ("dd", "if=VIEW", "of=TARGET", "bs=1M", f"count={SIZE // MIB + 1}"),
    "cat": ("sh", "-c", "cat VIEW > TARGET"),
    "tar": ("sh", "-c", "tar -C $(dirname VIEW) -cf TARGET.tar $(basename VIEW)"),
    "rsync": ("rsync", "VIEW", "TARGET"),
}


def run_tool(bed, tool, image, code):
    words = [word.replace("VIEW", str(bed.view(image))).replace("TARGET", str(bed.target / "copy"))
             for word in TOOLS[tool]]
    return bed.run(*words, code=code)


def copies(tool, *options):
    def run(bed):
        image = bed.image(DATA, *options)
        mount(bed)
        run_tool(bed, tool, image, 0)
        if tool == "tar":
            bed.run("tar", "-C", bed.target, "-xf", bed.target / "copy.tar")
            same_bytes((bed.target / image).read_bytes(), DATA, "what tar packed")
        else:
            same_bytes((bed.target / "copy").read_bytes(), DATA, "the copy")
    return run


for name in TOOLS:
    add(f"{name}_copies_an_arriving_image", copies(name))


@test
def an_image_with_sizes_around_the_withheld_end_arrives_whole(bed):
    images = {}
    for size in (0, 1, WITHHELD - 1, WITHHELD, WITHHELD + 1, 2 * WITHHELD):
        images[bed.image(DATA[:size])] = DATA[:size]
        images[bed.image(DATA[:size], declared=False)] = DATA[:size]
    mount(bed)
    for image, data in images.items():
        same_bytes(bed.view(image).read_bytes(), data, f"{len(data)} bytes")


@test
def an_image_of_unknown_size_arrives_whole(bed):
    stored = bed.run("gpg", "--homedir", bed.gpg.home, "--batch", "--quiet", "--no-symkey-cache",
                     "--pinentry-mode", "loopback", "--passphrase", PASSPHRASE.decode(), *QUICK,
                     *UNCOMPRESSED, "--symmetric", "--output", "-", stdin=None, input=DATA).stdout
    image = bed.cloud.add_image(stored, bed.cloud.add_secret())
    stop_at(bed, image, 3 * MIB)
    mount(bed)
    with open(bed.view(image), "rb", buffering=0) as stream:
        head = stream.read(MIB)
        same_bytes(head, DATA[:MIB], "what has a megabyte behind it")
        equal(status(bed)["streams"][0]["size"], None, "the size")
        stop_at(bed, image, None)
        same_bytes(head + stream.read(), DATA, "all of it")


@test
def a_compressed_image_of_known_size_arrives(bed):
    data = compressible(4 * MIB)
    image = bed.image(data, "-z6")
    mount(bed)
    same_bytes(bed.view(image).read_bytes(), data, "the bytes")


@test
def a_compressed_image_of_unknown_size_is_refused(bed):
    image = bed.image(compressible(4 * MIB), "-z6", declared=False)
    mount(bed)
    bed.refused(image, errno.EOPNOTSUPP, "compressed", "os_decrypt_size")


# --- while it arrives ---

@test
def the_first_bytes_come_with_the_first_four_kilobytes(bed):
    image = bed.image(DATA)
    stop_at(bed, image, 4 * KIB)
    mount(bed)
    with open(bed.view(image), "rb", buffering=0) as stream:
        same_bytes(stream.read(512), DATA[:512], "the first bytes")
        same_bytes(stream.read(1024), DATA[512:1536], "the next ones")
        equal(status(bed)["verify"], "stream", "the mode")
        equal(status(bed)["streams"][0]["verified"], False, "the stream's state")


@test
def everything_but_the_end_comes_before_the_last_byte(bed):
    image = bed.image(DATA)
    stored = bed.cloud.data(image).stat().st_size
    stop_at(bed, image, stored - 1)
    mount(bed)
    with open(bed.view(image), "rb", buffering=0) as stream:
        head = b""
        while len(head) < SIZE - WITHHELD:
            head += stream.read(min(MIB, SIZE - WITHHELD - len(head)))
        same_bytes(head, DATA[:SIZE - WITHHELD], "what need not wait")
        rest = []
        reader = threading.Thread(target=lambda: rest.append(stream.read(1)))
        reader.start()
        reader.join(0.3)
        check(reader.is_alive(), "the first withheld byte came before the image was verified")
        stop_at(bed, image, None)
        reader.join(bed.seconds(20))
        same_bytes(head + rest[0] + read_all(stream.fileno()), DATA, "all of it")


@test
def followers_share_one_download_and_read_for_themselves(bed):
    image = bed.image(DATA)
    stop_at(bed, image, 2 * MIB)
    mount(bed)
    streams = [open(bed.view(image), "rb", buffering=0) for _ in range(4)]
    for stream in streams:
        same_bytes(stream.read(MIB), DATA[:MIB], "the first megabyte")
    [download] = status(bed)["cache"]["downloads"]
    equal((download["image"], download["done_bytes"]), (image, 2 * MIB), "the download under way")
    stop_at(bed, image, None)
    for stream in streams:
        same_bytes(read_all(stream.fileno()), DATA[MIB:], "the rest")
        stream.close()


@test
def a_download_goes_on_when_nobody_reads(bed):
    image = bed.image(DATA)
    mount(bed)
    fd = os.open(bed.view(image), os.O_RDONLY)
    bed.wait_for(lambda: status(bed)["cache"]["stored_bytes"] > SIZE, 10, "the whole image in the cache")
    same_bytes(read_all(fd), DATA, "the bytes")
    os.close(fd)


@test
def the_last_reader_that_leaves_ends_the_download(bed):
    image = bed.image(DATA)
    stop_at(bed, image, 2 * MIB)
    mount(bed)
    fds = [os.open(bed.view(image), os.O_RDONLY) for _ in range(2)]
    os.close(fds[0])
    os.read(fds[1], MIB)
    os.close(fds[1])
    bed.wait_for(lambda: not status(bed)["cache"]["downloads"], 10, "the end of the download")
    equal(list((bed.cache / "objects").iterdir()), [], "complete objects")
    stop_at(bed, image, None)
    same_bytes(bed.view(image).read_bytes(), DATA, "the next reader's bytes")


@test
def a_reader_that_waits_for_bytes_dies_of_a_signal(bed):
    image = bed.image(DATA)
    stop_at(bed, image, 2 * MIB)
    mount(bed)
    reader = bed.start("cat", bed.view(image))
    bed.wait_for(lambda: any(s["position"] > 0 for s in status(bed)["streams"]), 10, "a reader")
    reader.terminate()
    equal(reader.wait(bed.seconds(5)), -15, "cat")
    bed.wait_for(lambda: not status(bed)["streams"], 5, "no stream")


# --- images that are not sound ---

DAMAGES = {
    "a_byte_flipped_in_the_middle": lambda m: flip(m, len(m) // 2),
    "a_byte_flipped_in_its_last_megabyte": lambda m: flip(m, len(m) - MIB // 2),
    "a_byte_flipped_in_the_mdc": lambda m: flip(m, len(m) - 3),
    "its_last_byte_cut_off": lambda m: m[:-1],
    "its_last_two_megabytes_cut_off": lambda m: m[:-2 * MIB],
    "its_mdc_cut_off": lambda m: m[:-22],
    "a_byte_added": lambda m: m + b"\0",
}


def is_never_whole(damage, hash_follows, tool):
    def run(bed):
        sound = stored_message(bed)
        image = bed.cloud.add_image(damage(sound) if hash_follows else sound, bed.cloud.add_secret(),
                                    decrypt_size=SIZE)
        bed.cloud.data(image).write_bytes(damage(sound))
        mount(bed)
        check(run_tool(bed, tool, image, None).returncode != 0, f"{tool} succeeded")
        target = bed.target / "copy"
        shown = target.read_bytes() if target.exists() else b""
        check(len(shown) <= SIZE - WITHHELD or tool == "rsync", f"{len(shown)} bytes were shown")
        check(image in bed.log_text(), "the log does not name the image")
    return run


for name, change in DAMAGES.items():
    add(f"cp_fails_on_an_arriving_image_with_{name}", is_never_whole(change, False, "cp"))
    add(f"cp_fails_on_an_arriving_image_with_{name}_and_a_matching_hash",
        is_never_whole(change, True, "cp"))
for name in TOOLS:
    add(f"{name}_fails_on_an_arriving_image_that_is_damaged",
        is_never_whole(DAMAGES["a_byte_flipped_in_the_mdc"], True, name))


def damaged_image(bed):
    return bed.cloud.add_image(DAMAGES["a_byte_flipped_in_the_mdc"](stored_message(bed)),
                               bed.cloud.add_secret(), decrypt_size=SIZE)


@test
def close_fails_once_the_image_turned_out_damaged(bed):
    image = damaged_image(bed)
    mount(bed)
    fd = os.open(bed.view(image), os.O_RDONLY)
    os.close(os.dup(fd))  # as dd and the shell do, before anything is known
    head = os.read(fd, MIB)
    same_bytes(head, DATA[:MIB], "what comes before the end")
    raises(errno.EBADMSG, lambda: read_all(fd), "the read of the end")
    raises(errno.EBADMSG, lambda: os.read(fd, 1), "one more read")
    raises(errno.EBADMSG, lambda: os.close(fd), "close")


@test
def close_succeeds_for_a_reader_that_stops_early(bed):
    image = bed.image(DATA)
    mount(bed)
    fd = os.open(bed.view(image), os.O_RDONLY)
    same_bytes(os.read(fd, 100), DATA[:100], "the bytes")
    os.close(fd)


@test
def a_damaged_image_is_no_verified_one_afterwards(bed):
    image = damaged_image(bed)
    mount(bed)
    for _ in range(2):
        bed.run("cat", bed.view(image), code=1)
    equal(counters(bed)["verifications"], 0, "verifications")
    equal(counters(bed)["failed_verifications"], 2, "failed verifications")


@test
def a_download_that_breaks_off_fails_the_reader(bed):
    image = bed.image(DATA)
    stop_at(bed, image, 2 * MIB)
    mount(bed)
    fd = os.open(bed.view(image), os.O_RDONLY)
    same_bytes(os.read(fd, MIB), DATA[:MIB], "what has come")
    fail_from_now_on(bed, image)
    raises(errno.EIO, lambda: read_all(fd), "the read of what did not come")
    raises(errno.EIO, lambda: os.close(fd), "close")
    equal(list((bed.cache / "objects").iterdir()), [], "what is left in the cache")


@test
def a_declared_size_that_is_wrong_is_refused(bed):
    image = bed.cloud.add_image(stored_message(bed), bed.cloud.add_secret(), decrypt_size=SIZE + 1)
    mount(bed)
    bed.refused(image, errno.EBADMSG, "os_decrypt_size")


@test
def a_wrong_passphrase_is_refused_at_open(bed):
    image = bed.cloud.add_image(stored_message(bed), bed.cloud.add_secret(b"wrong"),
                                decrypt_size=SIZE)
    mount(bed)
    check(bed.run("cat", bed.view(image), code=1).stdout == b"", "bytes were shown")


# --- what is verified once ---

@test
def an_image_that_arrived_is_not_verified_again(bed):
    image = bed.image(DATA)
    mount(bed)
    for _ in range(3):
        same_bytes(bed.view(image).read_bytes(), DATA, "the bytes")
    equal(counters(bed)["verifications"], 1, "verifications")
    fd = os.open(bed.view(image), os.O_RDONLY)
    equal(status(bed)["streams"][0]["verified"], True, "the stream's state")
    os.close(fd)


@test
def an_image_that_is_open_and_verified_is_shared(bed):
    image = bed.image(DATA)
    mount(bed)
    fd = os.open(bed.view(image), os.O_RDONLY)
    same_bytes(read_all(fd), DATA, "the bytes")
    equal(status(bed)["streams"][0]["verified"], True, "the stream's state")
    same_bytes(bed.view(image).read_bytes(), DATA, "the second reader's bytes")
    equal(counters(bed)["verifications"], 1, "verifications")
    equal(counters(bed)["reopens"], 0, "reopens")
    os.close(fd)


@test
def a_copy_in_the_cache_of_another_daemon_is_followed(bed):
    image = bed.image(DATA)
    mount(bed)
    bed.view(image).read_bytes()
    equal(bed.stop(), 0, "the daemon's exit code")
    bed.cloud.data(image).unlink()
    mount(bed)
    same_bytes(bed.view(image).read_bytes(), DATA, "the bytes")
    equal(counters(bed)["verifications"], 1, "verifications")


@test
def verify_first_opens_again_without_a_second_pass(bed):
    image = bed.image(DATA)
    bed.mount()

    def is_reopened():  # RELEASE is asynchronous: the image may still be open for a moment
        same_bytes(bed.view(image).read_bytes(), DATA, "the bytes")
        return counters(bed)["reopens"] > 0
    bed.wait_for(is_reopened, 10, "an open without a second pass")
    equal(counters(bed)["verifications"], 1, "verifications")


@test
def another_passphrase_does_not_open_what_is_remembered(bed):
    key = bed.cloud.add_secret()
    image = bed.cloud.add_image(stored_message(bed), key, decrypt_size=SIZE)
    bed.mount()
    same_bytes(bed.view(image).read_bytes(), DATA, "the bytes")
    (bed.cloud.path / "secrets" / f"{key}.payload").write_bytes(b"another one")
    bed.refused(image, errno.EBADMSG)


# --- nothing leaks ---

def leaves_no_page(way):
    def run(bed):
        image = bed.image(DATA[:2 * MIB])
        mount(bed)
        watch = kernel.PageCacheWatch(bed.view(image), 2 * MIB)
        way(bed, bed.view(image))
        equal(watch.pages(), 0, "pages that hold plaintext")
        watch.close()
    return run


for name, one in WAYS.items():
    add(f"{name}_leaves_no_page_of_an_arriving_image", leaves_no_page(one))


@test
def no_plaintext_of_an_arriving_image_reaches_a_disk(bed):
    marker = b"the plaintext of an arriving image" * 30
    image = bed.image(marker * 3000)
    mount(bed)
    bed.run("cat", bed.view(image))
    for path in bed.tmp.rglob("*"):
        if path.is_file() and bed.mount_point not in path.parents and bed.gpg.kept not in path.parents:
            check(marker[:34] not in path.read_bytes(), f"plaintext in {path}")


@test
def an_open_that_is_not_read_takes_little_memory(bed):
    image = bed.image(DATA)
    mount(bed, "max_streams=200")
    bed.view(image).read_bytes()
    first = os.open(bed.view(image), os.O_RDONLY)
    before = status(bed)["memory"]["used_bytes"]
    fds = [os.open(bed.view(image), os.O_RDONLY) for _ in range(100)]
    used = status(bed)["memory"]["used_bytes"] - before
    check(used <= 100 * 64 * KIB, f"{used} bytes of locked memory for 100 idle files")
    for fd in fds + [first]:
        os.close(fd)
