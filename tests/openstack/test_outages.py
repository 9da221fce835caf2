# SPDX-License-Identifier: Apache-2.0
"""Services that are really down, and come back. They are everybody's: these tests run alone."""
import errno
import os
import re
import shutil
import time

from bed import check, equal
from cloud_bed import BOUND, SMALL_LIMITS, CloudBed
from messages import KIB, plaintext
from registry import test_with
from test_lies import FILE
from test_uploads import nothing_left, uploads
from write_bed import ERROR, file_of, part_of, seal, sealed_in_cache, state_of, write_all

DATA = plaintext(600 * KIB + 11)


class Down:
    """A service that does not run for a while; it runs again whatever happens."""

    def __init__(self, bed: CloudBed, service: str):
        self.stack, self.service = bed.stack, service

    def __enter__(self) -> "Down":
        self.stack.kill(self.service)
        return self

    def back(self) -> None:
        self.stack.restart(self.service)

    def __exit__(self, *_: object) -> None:
        self.back()


def refused(bed: CloudBed, image: str, *numbers: int) -> None:
    began = time.monotonic()
    found = bed.right_or_refused(image, DATA)
    check(found in numbers, f"open ends with {errno.errorcode.get(found, found)}")
    check(time.monotonic() - began < bed.seconds(BOUND), "it took too long")


@test_with(alone=True, limit=90)
def while_keystone_is_down_opens_fail_and_afterwards_they_work(bed):
    """Glance answers 401 then, Barbican 503."""
    cached, image = bed.image(DATA), bed.image(DATA)
    bed.mount("-o", SMALL_LIMITS)
    bed.reads(cached, DATA)
    with Down(bed, "keystone"):
        refused(bed, cached, errno.EIO, errno.ETIMEDOUT)
        refused(bed, image, errno.EIO, errno.ETIMEDOUT)
        answer = bed.glancefs("images", "list", "--cloud", bed.cloud.name, code=None)
        equal(answer.returncode, 7, "the exit code of a command")
    bed.reads(image, DATA)
    bed.reads(cached, DATA)


@test_with(alone=True, limit=90)
def while_barbican_is_down_opens_fail_and_what_is_open_goes_on(bed):
    image, queued = bed.image(DATA), bed.queued()
    bed.mount("-o", SMALL_LIMITS)
    bed.reads(image, DATA)
    with open(bed.view(image), "rb", buffering=0) as stream:
        first = stream.read(1000)
        with Down(bed, "barbican"):
            refused(bed, image, errno.EIO, errno.ETIMEDOUT)
            rest = b"".join(iter(lambda: stream.read(1 << 16), b""))
            check(first + rest == DATA, "the stream that was open is cut")
            try:
                os.close(os.open(part_of(bed, queued), os.O_WRONLY | os.O_CREAT, 0o600))
                check(False, "a write was begun without a key")
            except OSError as error:
                check(error.errno in (errno.EIO, errno.ETIMEDOUT), f"a write ends with {error}")
    bed.reads(image, DATA)


@test_with(alone=True, limit=90)
def a_glance_that_is_killed_during_a_download_and_comes_back(bed):
    """First the download fails or waits; with the service back it is complete."""
    image = bed.image(DATA)
    proxy = bed.proxy("image")
    bed.mount("-o", SMALL_LIMITS)
    proxy.fault("stall_and_drop", "GET", FILE, at=300 * KIB, seconds=1)
    reader = bed.start("cp", bed.view(image), bed.target / "copy")
    bed.wait_for(lambda: proxy.count("GET", FILE), 10, "the download")
    with Down(bed, "glance"):
        code = reader.wait(bed.seconds(BOUND))
        check(code != 0, "cp ended well without an image service")
        check(not (bed.target / "copy").exists(), "cp left a target behind")
        refused(bed, image, errno.EIO, errno.ETIMEDOUT)
    bed.reads(image, DATA)


@test_with(alone=True, limit=90)
def a_glance_that_is_restarted_during_a_download_is_waited_for(bed):
    image = bed.image(DATA)
    proxy = bed.proxy("image")
    bed.mount("-o", "retries=6,request_timeout=40,connect_timeout=2,stall_timeout=5")
    proxy.fault("stall_and_drop", "GET", FILE, at=300 * KIB, seconds=1)
    reader = bed.start("cp", bed.view(image), bed.target / "copy")
    bed.wait_for(lambda: proxy.count("GET", FILE), 10, "the download")
    with Down(bed, "glance"):
        pass
    equal(reader.wait(bed.seconds(60)), 0, "cp's exit code")
    check((bed.target / "copy").read_bytes() == DATA, "the copy differs")


@test_with(alone=True, limit=120)
def a_glance_that_is_killed_during_an_upload_leaves_an_image_that_is_told_as_stuck(bed):
    """It stays in status saving for good; nothing but deleting it helps. Our ciphertext is kept, and can
    go to another image."""
    image = bed.queued()
    proxy = bed.proxy("image")
    bed.mount("-o", SMALL_LIMITS)
    proxy.fault("slow_request", "PUT", FILE, rate=100 * KIB)
    bed.write(image, DATA)
    bed.wait_for(lambda: bed.cloud.status(image) == "saving", 20, "the upload to be under way")
    with Down(bed, "glance"):
        time.sleep(0.5)
    equal(bed.cloud.status(image), "saving", "the image's status")
    bed.wait_for(lambda: "saving" in reason(bed, image), 60, "the reason to say that the image is being saved")
    equal(sealed_in_cache(bed), [image], "sealed uploads")
    # It counts as stuck when nothing else was seen for a quarter of an hour.
    journal = bed.cache / "staging" / f"{image}.json"
    older = re.sub(r'"saving_since":\d+', f'"saving_since":{int(time.time()) - 1000}', journal.read_text())
    (bed.target / "journal").write_text(older)
    shutil.move(bed.target / "journal", journal)
    other = bed.queued(key=bed.cloud.record(image)["os_encrypt_key_id"])
    bed.wait_for(lambda: "stuck" in reason(bed, image), 60, "the reason to say that the image is stuck")
    # Not failed, since it may become active after all; for moments it is looked at.
    bed.wait_for(lambda: state_of(file_of(bed, image)) == "sealed", 20, "the state to be sealed")
    uploads(bed, "retry", "--to", other, image)
    bed.becomes_active(other, DATA)
    bed.cloud.remove(image)


def reason(bed: CloudBed, image: str) -> str:
    try:
        return os.getxattr(file_of(bed, image), ERROR).decode()
    except OSError:
        return ""


@test_with(alone=True, limit=120)
def a_glance_that_is_down_delays_a_sealed_upload_and_loses_nothing(bed):
    image = bed.queued()
    bed.mount("-o", SMALL_LIMITS)
    write_all(part_of(bed, image), DATA)
    with Down(bed, "glance"):
        seal(bed, image)
        time.sleep(2)
        check(state_of(file_of(bed, image)) in ("sealed", "uploading"), "the upload was given up")
    bed.becomes_active(image, DATA, limit=60)
    nothing_left(bed)


@test_with(alone=True, limit=60)
def a_mount_is_refused_while_keystone_is_down(bed):
    with Down(bed, "keystone"):
        answer = bed.glancefs("mount", "-o", SMALL_LIMITS, *bed.mount_command()[2:], code=7)
        check("Keystone" in answer.stderr.decode(), f"it says {answer.stderr!r}")
