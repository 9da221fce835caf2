# SPDX-License-Identifier: Apache-2.0
"""P20: what is sealed is uploaded once, complete, or not at all. P21: write-once stays so."""
import errno
import json
import os
import time
from pathlib import Path

from bed import Failure, check, equal, raises, same_bytes
from cloud_bed import SMALL_LIMITS, CloudBed
from messages import KIB, plaintext
from registry import add, test, test_with
from stack import Api
from test_lies import FILE, RECORD
from write_bed import (ERROR, daemon_dies, file_of, has_state, part_of, put, seal, sealed_in_cache, staged_files,
                       state_of, write_all)

DATA = plaintext(600 * KIB + 11)
OTHER = plaintext(500 * KIB + 11, seed=2)
MB = 1000 * 1000


def uploads(bed: CloudBed, *words: object, code: int = 0):
    return bed.glancefs("uploads", words[0], "--cloud", bed.cloud.name, "--cache", bed.cache, *words[1:],
                        code=code)


def stored_by(bed: CloudBed) -> int:
    """How many uploads the image service took, through the proxy."""
    return len([line for line in bed.proxy("image").lines("PUT", FILE) if line.status == 204])


def nothing_left(bed: CloudBed) -> None:
    bed.wait_for(lambda: not staged_files(bed), 20, "the staging directory to be empty")


def fails(bed: CloudBed, image: str, *words: str) -> None:
    """The upload fails for good, says why, and keeps the sealed ciphertext."""
    has_state(bed, file_of(bed, image), "failed", limit=40)
    reason = os.getxattr(file_of(bed, image), ERROR).decode()
    for word in words:
        check(word in reason, f"the reason does not say {word!r}: {reason!r}")
    equal(sealed_in_cache(bed), [image], "sealed uploads")
    check(image in bed.log_text(), "the log does not name the image")


# --- P20: requests and answers that get lost ---

UPLOAD_FAULTS = {
    "a_lost_answer": ("lost_response", {}),
    "a_lost_answer_and_status_500": ("lost_then_500", {}),
    "a_request_that_arrives_twice": ("twice", {}),
    "a_connection_that_is_reset_at_once": ("reset_at_once", {}),
    "a_connection_that_is_closed_at_once": ("empty", {}),
    "a_connection_that_is_reset_midway": ("drop_request", {"at": 200 * KIB}),
    "a_connection_that_is_reset_at_the_last_byte": ("drop_request", {"at": 600 * KIB}),
    "status_500": ("status", {"code": 500}),
    "status_503": ("status", {"code": 503, "headers": {"Retry-After": "1"}}),
    "status_401": ("status", {"code": 401}),
    "a_login_page": ("login_page", {}),
    "what_is_not_http": ("garbage", {}),
}


def is_uploaded_once(fault: str, options: dict):
    def run(bed):
        image = bed.queued()
        proxy = bed.proxy("image")
        bed.mount("-o", SMALL_LIMITS)
        told = proxy.fault(fault, "PUT", FILE, **options)
        bed.write(image, DATA)
        bed.becomes_active(image, DATA)
        check(told.used, "the fault was not met")
        nothing_left(bed)
        equal(state_of(file_of(bed, image)), "active", "the state")
        check(stored_by(bed) <= 1, f"the service took the data {stored_by(bed)} times")
        bed.reads(image, DATA)
    return run


for name, (fault_name, fault_options) in UPLOAD_FAULTS.items():
    add(f"an_upload_meets_{name}_and_is_stored_once", is_uploaded_once(fault_name, fault_options), limit=90)


@test
def an_upload_that_arrives_cut_is_never_taken_for_done(bed):
    """What stands in between stored less, and the service agrees that this is all."""
    image = bed.queued()
    bed.proxy("image").fault("truncate_request", "PUT", FILE, cut=1000)
    bed.mount("-o", SMALL_LIMITS)
    bed.write(image, DATA)
    fails(bed, image)
    raises(errno.EBADMSG, lambda: bed.read(image), "open of what was stored")
    other = bed.queued(key=bed.cloud.record(image)["os_encrypt_key_id"])
    uploads(bed, "retry", "--to", other, image)
    bed.becomes_active(other, DATA)


def record_fault(method: str, fault: str, options: dict):
    def run(bed):
        image = bed.queued()
        proxy = bed.proxy("image")
        bed.mount("-o", SMALL_LIMITS)
        write_all(part_of(bed, image), DATA)
        told = proxy.fault(fault, method, RECORD, **options)
        seal(bed, image)
        bed.becomes_active(image, DATA)
        check(told.used, "the fault was not met")
        nothing_left(bed)
        check(stored_by(bed) <= 1, f"the service took the data {stored_by(bed)} times")
    return run


for name, (fault_name, fault_options) in {"lost": ("lost_response", {}), "a_500": ("lost_then_500", {}),
                                          "a_503": ("status", {"code": 503}),
                                          "a_401": ("status", {"code": 401})}.items():
    add(f"properties_whose_answer_is_{name}_are_set_before_the_data", record_fault("PATCH", fault_name,
                                                                                  fault_options), limit=90)


@test
def the_properties_are_set_before_the_data(bed):
    """A PATCH during an upload answers 200 and is lost."""
    image = bed.queued()
    proxy = bed.proxy("image")
    bed.mount()
    bed.write(image, DATA)
    bed.becomes_active(image, DATA)
    order = [line.method for line in proxy.log if line.method in ("PATCH", "PUT")]
    equal(order, ["PATCH", "PUT"], "what was changed, in order")


@test
def the_command_upload_whose_create_is_lost_makes_one_image(bed):
    bed.act_as(bed.admin().add_tenant())
    source = bed.tmp / "disk.raw"
    source.write_bytes(DATA)
    for fault in ("lost_response", "lost_then_500"):
        proxy = bed.proxy("image")
        proxy.fault(fault, "POST", "^/v2/images$")
        answer = bed.glancefs("upload", "--cloud", bed.cloud.name, "--name", fault, source, code=None)
        images = bed.cloud.call("GET", f"{bed.cloud.glance}/images?name={fault}").json()["images"]
        if answer.returncode == 0:
            equal([one["id"] for one in images], [answer.stdout.decode().strip()], "images")
            bed.holds(images[0]["id"], DATA)
        else:
            equal(images, [], f"images that a failed command left ({answer.stderr!r})")


@test
def the_command_upload_whose_new_key_is_lost_makes_one_key(bed):
    bed.act_as(bed.admin().add_tenant())
    source = bed.tmp / "disk.raw"
    source.write_bytes(DATA)
    bed.proxy("key-manager").fault("lost_response", "POST", "^/v1/secrets/?$")
    answer = bed.glancefs("upload", "--cloud", bed.cloud.name, "--name", "lost", source, code=None)
    secrets = bed.cloud.call("GET", f"{bed.cloud.barbican}/secrets").json()["total"]
    images = bed.cloud.call("GET", f"{bed.cloud.glance}/images").json()["images"]
    if answer.returncode == 0:
        equal((secrets, len(images)), (1, 1), "keys and images")
    else:
        equal(images, [], f"images that a failed command left ({answer.stderr!r})")


# --- daemons that die, images that go away ---

@test_with(limit=90)
def a_daemon_that_is_killed_during_an_upload_loses_nothing(bed):
    image = bed.queued()
    proxy = bed.proxy("image")
    bed.mount("-o", SMALL_LIMITS)
    proxy.fault("slow_request", "PUT", FILE, rate=200 * KIB)
    bed.write(image, DATA)
    bed.wait_for(lambda: bed.cloud.status(image) == "saving", 20, "the upload to be under way")
    daemon_dies(bed)
    equal(sealed_in_cache(bed), [image], "sealed uploads")
    bed.mount("-o", SMALL_LIMITS)
    bed.becomes_active(image, DATA, limit=60)
    nothing_left(bed)


@test_with(limit=90)
def an_image_that_is_deleted_during_its_upload_fails(bed):
    image = bed.queued()
    proxy = bed.proxy("image")
    bed.mount("-o", SMALL_LIMITS)
    proxy.fault("slow_request", "PUT", FILE, rate=200 * KIB)
    bed.write(image, DATA)
    bed.wait_for(lambda: bed.cloud.status(image) == "saving", 20, "the upload to be under way")
    bed.cloud.remove(image)
    bed.wait_for(lambda: state_in_list(bed, image) == "failed", 30, "the upload to fail")
    uploads(bed, "drop", image)
    nothing_left(bed)


def state_in_list(bed: CloudBed, image: str) -> str:
    listed = json.loads(uploads(bed, "list", "--json").stdout)
    return {one["image_id"]: one["state"] for one in listed}.get(image, "gone")


@test
def an_image_that_was_deleted_before_its_seal_fails_clearly(bed):
    image = bed.queued()
    bed.mount("-o", SMALL_LIMITS)
    write_all(part_of(bed, image), DATA)
    bed.cloud.remove(image)
    try:
        seal(bed, image)
    except Failure:  # a refused rename is as good as a failed upload
        return
    bed.wait_for(lambda: state_in_list(bed, image) == "failed", 30, "the upload to fail")


@test
def an_image_that_is_gone_or_not_ours_cannot_be_written(bed):
    gone, foreign = bed.queued(), bed.stack.api("alt").add_image(None, bed.cloud.add_secret())
    bed.cloud.remove(gone)
    bed.mount()
    for image in (gone, foreign):
        raises(errno.ENOENT, lambda one=image: os.open(part_of(bed, one), os.O_WRONLY | os.O_CREAT),
               "open for writing")


@test
def an_image_of_a_key_that_is_gone_or_refused_cannot_be_written(bed):
    gone = bed.queued()
    bed.cloud.remove_secret(bed.cloud.record(gone)["os_encrypt_key_id"])
    refused = bed.queued(key=bed.stack.api("alt").add_secret())
    bed.mount()
    raises(errno.ENOKEY, lambda: os.open(part_of(bed, gone), os.O_WRONLY | os.O_CREAT), "a key that is gone")
    raises(errno.EACCES, lambda: os.open(part_of(bed, refused), os.O_WRONLY | os.O_CREAT), "another's key")


# --- P21: write once ---

@test
def a_second_writer_is_refused(bed):
    image = bed.queued()
    bed.mount()
    fd = os.open(part_of(bed, image), os.O_WRONLY | os.O_CREAT, 0o600)
    put(fd, DATA)
    raises(errno.EBUSY, lambda: os.open(part_of(bed, image), os.O_WRONLY), "a second open for writing")
    raises(errno.EBUSY, lambda: os.rename(part_of(bed, image), file_of(bed, image)), "a seal under a writer")
    os.close(fd)
    seal(bed, image)
    bed.becomes_active(image, DATA)


@test
def an_active_image_takes_no_second_write(bed):
    image = bed.queued()
    bed.mount()
    bed.write(image, DATA)
    bed.becomes_active(image, DATA)
    raises(errno.EEXIST, lambda: os.open(part_of(bed, image), os.O_WRONLY | os.O_CREAT), "a second write")
    bed.holds(image, DATA)


@test
def an_image_that_somebody_else_filled_meanwhile_keeps_its_data(bed):
    image = bed.queued()
    bed.mount("-o", SMALL_LIMITS)
    write_all(part_of(bed, image), DATA)
    bed.cloud.upload(image, b"somebody else's data")
    try:
        seal(bed, image)
    except Failure:  # a refused rename is as good as a failed upload
        pass
    else:
        bed.wait_for(lambda: state_in_list(bed, image) == "failed", 30, "the upload to fail")
    same_bytes(bed.cloud.download(image), b"somebody else's data", "the image's data")


@test_with(limit=90)
def of_two_mounts_that_write_one_image_one_wins(bed):
    image = bed.queued()
    # In this order: properties of the first, properties of the second, data of the first.
    first = bed.proxy("image")
    first.fault("delay", "PUT", FILE, seconds=2)
    other = CloudBed(bed.program, second_directory(bed), bed.gpg.home.parent, bed.slowness)
    other.proxy("image").fault("delay", "PUT", FILE, seconds=5)
    bed.mount("-o", "stall_timeout=10")
    other.mount("-o", "stall_timeout=10")
    try:
        write_all(part_of(bed, image), DATA)
        write_all(part_of(other, image), OTHER)
        seal(bed, image)
        bed.wait_for(lambda: first.count("PATCH"), 10, "the properties of the first")
        seal(other, image)
        has_state(bed, file_of(bed, image), "active")
        has_state(other, file_of(other, image), "failed")
        bed.holds(image, DATA)
    finally:
        other.close()


def second_directory(bed: CloudBed) -> Path:
    path = bed.tmp / "second"
    path.mkdir()
    return path


# --- an operator who allows little: the second region ---

def second_region(bed: CloudBed) -> Api:
    bed.entry["region_name"] = "RegionTwo"
    return bed.act_as(bed.admin().add_tenant(), image_service="glance2")


@test
def a_container_format_that_is_not_enabled_is_refused_with_a_hint(bed):
    second_region(bed)
    source = bed.tmp / "disk.raw"
    source.write_bytes(DATA)
    answer = bed.glancefs("upload", "--cloud", bed.cloud.name, "--name", "x", source, code=None)
    check(answer.returncode not in (0, -6, -11), f"exit code {answer.returncode}")
    text = answer.stderr.decode()
    check("container_format" in text and "encrypted" in text, f"no hint: {text!r}")
    equal(bed.cloud.call("GET", bed.cloud.glance + "/images").json()["images"], [], "images left")
    equal(bed.cloud.call("GET", bed.cloud.barbican + "/secrets").json()["total"], 0, "keys left")


@test
def a_container_format_that_is_not_enabled_gives_way_to_the_configured_one(bed):
    second_region(bed)
    source = bed.tmp / "disk.raw"
    source.write_bytes(DATA)
    os.environ["GLANCEFS_CONTAINER_FORMAT"] = "bare"
    image = bed.glancefs("upload", "--cloud", bed.cloud.name, "--name", "x", source).stdout.decode().strip()
    equal(bed.cloud.record(image)["container_format"], "bare", "the container format")
    bed.holds(image, DATA)
    bed.mount()
    bed.reads(image, DATA)


@test
def an_upload_over_the_size_cap_fails_and_says_so(bed):
    second_region(bed)
    image = bed.queued(container_format="bare")
    bed.mount("-o", SMALL_LIMITS)
    bed.write(image, plaintext(2 * MB + 500 * KIB))
    fails(bed, image, "413")
    equal(bed.cloud.status(image), "queued", "the image's status")


@test
def an_upload_over_the_quota_fails_and_goes_through_when_there_is_room(bed):
    second_region(bed)
    full = bed.cloud.add_image(plaintext(1900 * KIB), None, container_format="bare")
    image = bed.queued(container_format="bare")
    data = plaintext(1500 * KIB)
    bed.mount("-o", SMALL_LIMITS)
    bed.write(image, data)
    fails(bed, image, "413")
    bed.cloud.remove(full)
    uploads(bed, "retry", image)
    bed.becomes_active(image, data)


@test
def an_upload_to_an_image_service_under_uwsgi_arrives(bed):
    """It never says 100 Continue, and resets a connection that sends it a chunk of a megabyte."""
    second_region(bed)
    image, data = bed.queued(container_format="bare"), plaintext(1800 * KIB)
    bed.mount()
    began = time.monotonic()
    bed.write(image, data)
    bed.becomes_active(image, data)
    check(time.monotonic() - began < bed.seconds(20), "it took too long")
    bed.reads(image, data)
