# SPDX-License-Identifier: Apache-2.0
"""The audit lines: one for each open and each seal, with who asked and what came of it."""
import errno
import os
import re
import uuid

import write_bed
from bed import check, equal, raises, same_bytes
from messages import plaintext
from registry import test

DATA = plaintext(300000, seed=12)
LINE = re.compile(r"glancefs: info: audit: ([a-z]+=[\w%.:+-]+(?: [a-z]+=[\w%.:+-]+)*)")
KEYS = ["event", "view", "image", "uid", "pid", "key", "verified", "result"]


def lines_of(bed):
    """The audit lines so far, each as a dictionary."""
    found = []
    for line in bed.log_text().splitlines():
        if line.startswith("glancefs: info: audit:"):
            match = LINE.fullmatch(line)
            check(match, f"not an audit line: {line!r}")
            pairs = [pair.split("=", 1) for pair in match[1].split(" ")]
            equal([key for key, _ in pairs], KEYS, "the keys of an audit line")
            found.append(dict(pairs))
    return found


def key_of(bed, image):
    return bed.cloud.record(image).get("os_encrypt_key_id", "-")


def expected(bed, image, event="open", view="decrypt", **fields):
    return {"event": event, "view": view, "image": image, "uid": str(os.getuid()),
            "pid": str(os.getpid()), "key": key_of(bed, image), "verified": "-", "result": "ok",
            **fields}


@test
def each_open_has_an_audit_line(bed):
    image = bed.image(DATA)
    bed.mount()
    same_bytes(bed.view(image).read_bytes(), DATA, "the image")
    equal(lines_of(bed), [expected(bed, image, verified="first")], "after one open")
    child = bed.start("cat", bed.view(image))
    equal(child.wait(bed.seconds(20)), 0, "cat's exit code")
    equal(lines_of(bed)[1:], [expected(bed, image, pid=str(child.pid), verified="earlier")],
          "after another")


@test
def an_open_from_memory_has_one_too(bed):
    image = bed.image(DATA)
    bed.mount("-o", "authorise_ttl=60")
    with open(bed.view(image), "rb"), open(bed.view(image), "rb"):
        equal(lines_of(bed), [expected(bed, image, verified="first"),
                              expected(bed, image, verified="earlier")], "after two opens")


@test
def an_open_under_verify_stream_says_so(bed):
    image = bed.image(DATA)
    bed.mount("-o", "verify=stream")
    same_bytes(bed.view(image).read_bytes(), DATA, "the image")
    equal(lines_of(bed), [expected(bed, image, verified="stream")], "after one open")


@test
def a_refused_open_has_an_audit_line_with_its_errno(bed):
    lost, damaged = bed.image(DATA, os_encrypt_key_id=str(uuid.uuid4())), bed.image(DATA)
    data = bytearray(bed.cloud.data(damaged).read_bytes())
    data[len(data) // 2] ^= 1
    bed.cloud.data(damaged).write_bytes(data)
    bed.mount()
    raises(errno.ENOKEY, lambda: os.open(bed.view(lost), os.O_RDONLY), "open without a key")
    raises(errno.EBADMSG, lambda: os.open(bed.view(damaged), os.O_RDONLY), "open of damage")
    equal(lines_of(bed), [expected(bed, lost, result="ENOKEY"),
                          expected(bed, damaged, result="EBADMSG")], "the refusals")


@test
def each_way_to_seal_has_an_audit_line(bed):
    for seal in (write_bed.seal_by_attribute,
                 lambda bed, image: os.rename(write_bed.part_of(bed, image),
                                              write_bed.file_of(bed, image))):
        image = write_bed.queued(bed)
        if bed.daemon is None:
            bed.mount()
        before = len(lines_of(bed))
        write_bed.part_of(bed, image).write_bytes(DATA)
        seal(bed, image)
        equal(lines_of(bed)[before:], [expected(bed, image, view="encrypt"),
                                       expected(bed, image, "seal", "encrypt")], "the lines")


@test
def a_refused_seal_has_an_audit_line(bed):
    image = write_bed.mounted(bed)
    with open(write_bed.part_of(bed, image), "wb") as part:
        part.write(DATA)
        raises(errno.EBUSY, lambda: write_bed.seal_by_attribute(bed, image), "seal while it is open")
    equal(lines_of(bed)[-1], expected(bed, image, "seal", "encrypt", result="EBUSY"), "the line")


@test
def a_seal_by_close_has_an_audit_line_without_a_caller(bed):
    image = write_bed.mounted(bed, size=len(DATA))
    write_bed.file_of(bed, image).write_bytes(DATA)
    bed.wait_for(lambda: lines_of(bed)[-1]["event"] == "seal", 20, "the seal")
    equal(lines_of(bed)[-1], expected(bed, image, "seal", "encrypt", uid="-", pid="-", key="-"),
          "the line")


@test
def a_name_cannot_forge_an_audit_line(bed):
    bed.mount()
    name = "x result=ok\naudit: event=open"
    raises(errno.EACCES, lambda: os.open(bed.mount_point / "encrypt" / name,
                                         os.O_WRONLY | os.O_CREAT), "create of a foreign name")
    line = lines_of(bed)[-1]
    equal(line["image"], "x%20result%3Dok%0Aaudit:%20event%3Dopen", "the name")
    equal(line["result"], "EACCES", "the result")


@test
def audit_lines_ignore_the_log_level_and_can_be_switched_off(bed):
    image = bed.image(DATA)
    bed.mount("-o", "log_level=error")
    bed.view(image).read_bytes()
    equal(len(lines_of(bed)), 1, "lines")
    equal(bed.stop(), 0, "the daemon's exit code")
    bed.mount("-o", "audit=off")
    bed.view(image).read_bytes()
    equal(len(lines_of(bed)), 1, "lines")
