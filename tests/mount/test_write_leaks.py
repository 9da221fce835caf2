# SPDX-License-Identifier: Apache-2.0
"""What is written leaves no plaintext and no key behind: not on disk, not in the page cache."""
import os
import re
import socket

import kernel
from bed import PASSPHRASE, check, equal, same_bytes
from messages import MIB, plaintext
from registry import add, test
from write_bed import (becomes_active, file_of, mounted, part_of, put, seal, seal_by_attribute,
                       set_record, staged_files, write_all)

SIZE = 2 * MIB
DATA = plaintext(SIZE, seed=51)
MARKER = b"glancefs-plaintext-marker-"


def marked(size):
    return (MARKER * (size // len(MARKER) + 1))[:size]


# --- the page cache ---

def leaves_no_page(write):
    def run(bed):
        image = mounted(bed)
        part = part_of(bed, image)
        (bed.tmp / "src").write_bytes(DATA)
        write_all(part, b"")
        watch = kernel.PageCacheWatch(part, SIZE)
        write(bed, part)
        equal(watch.pages(), 0, "pages that hold plaintext after the write")
        bed.run("cat", part, code=None)
        bed.run("pv", "-q", part, code=None)
        equal(watch.pages(), 0, "pages that hold plaintext after reading it back")
        seal(bed, image)
        becomes_active(bed, image, DATA)
        equal(watch.pages(), 0, "pages that hold plaintext after the seal")
        watch.close()
    return run


def command(line):
    return lambda bed, part: bed.run("sh", "-c", line, env={**os.environ, "part": str(part)})


def sendfile(bed, part):
    with open(bed.tmp / "src", "rb") as source:
        fd = os.open(part, os.O_WRONLY)
        sent = 0
        while sent < SIZE:
            sent += os.sendfile(fd, source.fileno(), sent, SIZE - sent)
        os.close(fd)


def splice(_, part):
    fd = os.open(part, os.O_WRONLY)
    reader, writer = os.pipe()
    for at in range(0, SIZE, 65536):
        os.write(writer, DATA[at:at + 65536])
        left = 65536
        while left > 0:
            left -= os.splice(reader, fd, left)
    for one in (fd, reader, writer):
        os.close(one)


def from_a_socket(_, part):
    left, right = socket.socketpair()
    fd = os.open(part, os.O_WRONLY)
    for at in range(0, SIZE, 65536):
        left.sendall(DATA[at:at + 65536])
        put(fd, right.recv(65536, socket.MSG_WAITALL), at)
    for one in (left, right):
        one.close()
    os.close(fd)


WAYS = {
    "cp": command("cp src $part"),
    "cat": command("cat src >$part"),
    "dd": command("dd if=src of=$part bs=64K"),
    "dd_direct": command("dd if=src of=$part bs=1M oflag=direct"),
    "small_blocks": command("dd if=src of=$part bs=1000"),
    "rsync_inplace": command("rsync --inplace src $part"),
    "qemu_img": command("qemu-img convert -f raw -O raw src $part"),
    "sendfile": sendfile,
    "splice": splice,
    "a_socket": from_a_socket,
}
for name, way in WAYS.items():
    add(f"writing_by_{name}_leaves_no_page_of_plaintext", leaves_no_page(way))


# --- the disk ---

def found_in(bed, words):
    return [(path.name, word) for top in (bed.cache, bed.target) for path in top.rglob("*")
            if path.is_file() for word in words if word in path.read_bytes()]


def scan(bed, words):
    """Files of the cache and of TMPDIR that hold one of the words. The daemon goes on renaming files
    meanwhile: then everything is looked at again."""
    for _ in range(100):
        try:
            return found_in(bed, words)
        except FileNotFoundError:
            continue
    return found_in(bed, words)


def forms_of(secret):
    return [secret, secret.hex().encode(), secret[::-1]]


@test
def the_cache_holds_ciphertext_only_at_every_moment(bed):
    os.environ["TMPDIR"] = str(bed.target)
    image = mounted(bed, "write_window=1M")
    words = [MARKER, *forms_of(PASSPHRASE)]
    data = marked(6 * MIB)
    fd = os.open(part_of(bed, image), os.O_WRONLY | os.O_CREAT)
    for at in range(0, len(data), MIB):
        put(fd, data[at:at + MIB], at)
        equal(scan(bed, words), [], "files that hold plaintext while it is written")
    check(sum(path.stat().st_size for path in staged_files(bed)) >= 4 * MIB, "nothing is staged")
    os.close(fd)
    set_record(bed, image, glancefs_test_status=503)
    seal_by_attribute(bed, image)
    equal(scan(bed, words), [], "files that hold plaintext after the seal")
    set_record(bed, image, glancefs_test_status=None)
    becomes_active(bed, image, data, limit=60)
    equal(scan(bed, words), [], "files that hold plaintext after the upload")
    check(MARKER not in bed.cloud.data(image).read_bytes(), "the image holds plaintext")


@test
def neither_the_log_nor_the_journal_names_a_secret(bed):
    image = mounted(bed, "log_level=debug")
    write_all(part_of(bed, image), marked(MIB))
    set_record(bed, image, glancefs_test_status=403)
    seal_by_attribute(bed, image)
    bed.wait_for(lambda: image in bed.log_text(), 20, "the failed upload to be logged")
    texts = [bed.log.read_bytes(),
             *[path.read_bytes() for path in staged_files(bed) if path.suffix == ".json"]]
    equal(len(texts), 2, "log and journal")
    for text in texts:
        for word in (MARKER, *forms_of(PASSPHRASE)):
            check(word not in text, f"{word!r} is in it: {text!r}")


@test
def the_staging_directory_is_for_us_alone(bed):
    image = mounted(bed, "write_window=1M")
    write_all(part_of(bed, image), DATA)
    equal(bed.cache.stat().st_mode & 0o777, 0o700, "the mode of the cache")
    equal((bed.cache / "staging").stat().st_mode & 0o777, 0o700, "the mode of the directory")
    for path in staged_files(bed):
        equal(path.stat().st_mode & 0o077, 0, f"what others may do with {path.name}")


# --- the message ---

def session_key(bed, message):
    """The session key that opens the message, which may be cut off."""
    (bed.tmp / "key").write_bytes(PASSPHRASE)
    answer = bed.run("gpg", "--homedir", bed.gpg.home, "--batch", "--no-symkey-cache",
                     "--pinentry-mode", "loopback", "--passphrase-file", "key", "--show-session-key",
                     "--output", "/dev/null", "--yes", "--decrypt", message, code=None)
    found = re.search(rb"session key: '([0-9A-F:]+)'", answer.stderr)
    check(found, f"gpg shows no session key: {answer.stderr!r}")
    return found.group(1)


@test
def a_restart_with_o_trunc_takes_another_session_key(bed):
    image = mounted(bed, "write_window=1M")
    part = part_of(bed, image)
    write_all(part, DATA)
    first = bed.tmp / "first"
    first.write_bytes(staged_files(bed)[0].read_bytes())
    check(first.stat().st_size > 0, "nothing was staged")
    write_all(part, DATA)
    seal(bed, image)
    becomes_active(bed, image, DATA)
    check(session_key(bed, first) != session_key(bed, bed.cloud.data(image)), "the same session key")


@test
def ftruncate_to_0_takes_another_session_key(bed):
    image = mounted(bed, "write_window=1M")
    fd = os.open(part_of(bed, image), os.O_WRONLY | os.O_CREAT)
    put(fd, DATA)
    first = bed.tmp / "first"
    first.write_bytes(staged_files(bed)[0].read_bytes())
    os.ftruncate(fd, 0)
    put(fd, DATA)
    os.close(fd)
    seal(bed, image)
    becomes_active(bed, image, DATA)
    check(session_key(bed, first) != session_key(bed, bed.cloud.data(image)), "the same session key")


@test
def the_message_is_what_every_gpg_reads(bed):
    """SKESK v4 with an encrypted session key, SEIPD v1, no compression, no name, no time."""
    image = mounted(bed)
    write_all(part_of(bed, image), DATA)
    seal(bed, image)
    becomes_active(bed, image, DATA)
    (bed.tmp / "key").write_bytes(PASSPHRASE)
    answer = bed.run("gpg", "--homedir", bed.gpg.home, "--batch", "--no-symkey-cache",
                     "--pinentry-mode", "loopback", "--passphrase-file", "key", "--list-packets",
                     bed.cloud.data(image)).stdout.decode()
    check(re.search(r"symkey enc packet: version 4, cipher 9, aead 0, ?s2k 3, hash \d+, seskey", answer),
          f"no encrypted session key: {answer}")
    check("mdc_method: 2" in answer, f"no MDC: {answer}")
    check("compressed packet" not in answer, f"compressed: {answer}")
    check(re.search(r'mode b \(62\), created 0, name=""', answer), f"a name or a time: {answer}")


@test
def two_writes_of_the_same_bytes_share_nothing(bed):
    image = mounted(bed)
    other = bed.cloud.add_image(None, bed.cloud.record(image)["os_encrypt_key_id"], status="queued")
    for one in (image, other):
        write_all(part_of(bed, one), DATA)
        seal(bed, one)
        becomes_active(bed, one, DATA)
    first, second = (bed.cloud.data(one).read_bytes() for one in (image, other))
    blocks = {first[at:at + 16] for at in range(0, len(first), 16)}
    shared = sum(second[at:at + 16] in blocks for at in range(0, len(second) - 15, 16))
    equal(shared, 0, "blocks of ciphertext in common")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "what decrypt/ shows")
    check(file_of(bed, image).name == image, "the name")
