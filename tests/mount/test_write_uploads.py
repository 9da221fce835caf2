# SPDX-License-Identifier: Apache-2.0
"""From the seal to the active image: services in trouble, daemons that end or die, the commands."""
import errno
import json
import os
import re

from bed import check, equal, raises, same_bytes
from messages import MIB, plaintext
from registry import test, test_with
from write_bed import (ERROR, becomes_active, daemon_dies, decrypt, file_of, has_state, mounted,
                       never_active, part_of, put, queued, seal, seal_by_attribute,
                       sealed_in_cache, set_record, staged_files, state_of, status_of, write_all)

DATA = plaintext(2 * MIB + 5, seed=41)


def sealed_with(bed, status, *options):
    """An image that is sealed while the image service answers this HTTP status."""
    image = mounted(bed, *options)
    write_all(part_of(bed, image), DATA)
    set_record(bed, image, glancefs_test_status=status)
    seal_by_attribute(bed, image)
    return image


def service_recovers(bed, image):
    set_record(bed, image, glancefs_test_status=None)


def cloud_options(bed):
    return ["--cloud", f"local:{bed.cloud.path}", "--cache", bed.cache]


def uploads(bed, *words, code=0):
    return bed.glancefs("uploads", words[0], *cloud_options(bed), *words[1:], code=code)


def listed(bed):
    """What `glancefs uploads list --json` tells, by image."""
    return {one["image_id"]: one for one in json.loads(uploads(bed, "list", "--json").stdout)}


# --- a service in trouble ---

@test
def a_rename_seals_also_while_the_image_service_is_out(bed):
    image = mounted(bed)
    write_all(part_of(bed, image), DATA)
    set_record(bed, image, glancefs_test_status=503)
    seal(bed, image)
    equal(status_of(bed, image), "queued", "the image's status")
    service_recovers(bed, image)
    becomes_active(bed, image, DATA)


def has_error(path):
    try:
        return bool(os.getxattr(path, ERROR))
    except OSError as error:
        equal(error.errno, errno.ENODATA, "the errno of a missing attribute")
        return False


@test
def an_upload_is_retried_until_the_service_answers(bed):
    image = sealed_with(bed, 503)
    target = file_of(bed, image)
    bed.wait_for(lambda: has_error(target), 20, "a first attempt to fail")
    check(state_of(target) in ("sealed", "uploading"), f"the state is {state_of(target)}")
    equal(status_of(bed, image), "queued", "the image's status")
    service_recovers(bed, image)
    becomes_active(bed, image, DATA, limit=60)
    has_state(bed, target, "active")


@test
def a_refused_upload_is_kept_and_can_be_retried(bed):
    image = sealed_with(bed, 403)
    has_state(bed, file_of(bed, image), "failed")
    check(os.getxattr(file_of(bed, image), ERROR), "no reason is given")
    check(image in bed.log_text(), "the log does not name the image")
    equal(sealed_in_cache(bed), [image], "sealed uploads")
    equal(listed(bed)[image]["state"], "failed", "the listed state")
    check(image.encode() in uploads(bed, "list").stdout, "the list does not name the image")
    service_recovers(bed, image)
    raises(errno.EEXIST, lambda: os.open(part_of(bed, image), os.O_WRONLY | os.O_CREAT), "a new write")
    raises(errno.EBUSY, lambda: os.unlink(file_of(bed, image)), "unlink")
    uploads(bed, "retry", image)
    becomes_active(bed, image, DATA)
    bed.wait_for(lambda: not staged_files(bed), 10, "the staging directory to be empty")


@test
def a_refused_upload_is_kept_over_a_restart(bed):
    image = sealed_with(bed, 403)
    has_state(bed, file_of(bed, image), "failed")
    equal(bed.stop(), 0, "the daemon's exit code")
    service_recovers(bed, image)
    bed.mount()
    equal(state_of(file_of(bed, image)), "failed", "the state after a restart")
    uploads(bed, "retry", image)
    becomes_active(bed, image, DATA)


@test
def a_refused_upload_can_be_dropped(bed):
    image = sealed_with(bed, 403)
    has_state(bed, file_of(bed, image), "failed")
    service_recovers(bed, image)
    uploads(bed, "drop", image)
    equal(listed(bed), {}, "the list")
    bed.wait_for(lambda: not staged_files(bed), 10, "the staging directory to be empty")
    never_active(bed, image)


@test
def a_refused_upload_can_go_to_another_image(bed):
    image = sealed_with(bed, 403)
    has_state(bed, file_of(bed, image), "failed")
    record = bed.cloud.record(image)
    other = queued(bed, key=record["os_encrypt_key_id"])
    uploads(bed, "retry", image, "--to", other)
    becomes_active(bed, other, DATA)
    equal(status_of(bed, image), "queued", "the first image's status")


@test
def waiting_ends_with_the_upload(bed):
    image = sealed_with(bed, 503)
    child = bed.start(bed.program, "uploads", "wait", *cloud_options(bed), image)
    check(child.poll() is None, "it did not wait")
    service_recovers(bed, image)
    equal(child.wait(bed.seconds(60)), 0, "the exit code")
    becomes_active(bed, image, DATA)
    uploads(bed, "wait", image)


@test
def waiting_for_a_refused_upload_fails_and_says_why(bed):
    image = sealed_with(bed, 403)
    has_state(bed, file_of(bed, image), "failed")
    answer = uploads(bed, "wait", image, code=None)
    check(answer.returncode not in (0, 2) and answer.stderr, f"it ended with {answer.returncode}")


@test
def commands_on_what_is_not_there_say_so(bed):
    image = mounted(bed)
    for words in (["retry", image], ["drop", image], ["wait", image]):
        answer = uploads(bed, *words, code=None)
        check(answer.returncode not in (0, 2), f"{words[0]} ended with {answer.returncode}")
        check(image.encode() in answer.stderr, f"{words[0]} says {answer.stderr!r}")
    bed.glancefs("uploads", code=2)
    bed.glancefs("uploads", "frobnicate", code=2)
    equal(listed(bed), {}, "the list")


@test
def an_image_deleted_meanwhile_fails_and_is_kept(bed):
    image = sealed_with(bed, 503)
    bed.cloud.path.joinpath("images", f"{image}.json").unlink()
    bed.wait_for(lambda: listed(bed)[image]["state"] == "failed", 60, "the upload to fail")
    equal(sealed_in_cache(bed), [image], "sealed uploads")


@test
def an_image_that_somebody_else_filled_is_not_overwritten(bed):
    image = sealed_with(bed, 503)
    other = bed.gpg.encrypt(b"theirs", b"their passphrase")
    bed.cloud.add_image(other, bed.cloud.record(image)["os_encrypt_key_id"], image=image)
    bed.wait_for(lambda: listed(bed)[image]["state"] == "failed", 60, "the upload to fail")
    same_bytes(bed.cloud.data(image).read_bytes(), other, "the image")
    equal(sealed_in_cache(bed), [image], "sealed uploads")


@test
def one_image_in_trouble_does_not_hold_up_another(bed):
    image = sealed_with(bed, 503)
    other = queued(bed)
    write_all(part_of(bed, other), DATA)
    seal(bed, other)
    becomes_active(bed, other, DATA)
    service_recovers(bed, image)
    becomes_active(bed, image, DATA, limit=60)


# --- daemons that end ---

@test
def a_daemon_that_ends_after_the_seal_leaves_the_upload_to_the_next(bed):
    image = sealed_with(bed, 503)
    equal(bed.stop(), 0, "the daemon's exit code")
    equal(sealed_in_cache(bed), [image], "sealed uploads")
    service_recovers(bed, image)
    equal(status_of(bed, image), "queued", "the status without a daemon")
    bed.mount()
    becomes_active(bed, image, DATA)


@test
def kill_9_after_the_seal_loses_nothing(bed):
    image = sealed_with(bed, 503)
    daemon_dies(bed)
    service_recovers(bed, image)
    bed.mount()
    becomes_active(bed, image, DATA)


@test
def kill_9_right_after_the_seal_loses_nothing(bed):
    image = mounted(bed)
    write_all(part_of(bed, image), DATA)
    os.rename(part_of(bed, image), file_of(bed, image))
    daemon_dies(bed)
    bed.mount()
    becomes_active(bed, image, DATA)


@test
def kill_9_while_it_is_written_purges_the_staging(bed):
    image = mounted(bed, "write_window=1M")
    fd = os.open(part_of(bed, image), os.O_WRONLY | os.O_CREAT)
    put(fd, DATA)
    equal(len(staged_files(bed)), 1, "staged files")
    daemon_dies(bed)
    raises(errno.ENOTCONN, lambda: os.pwrite(fd, b"x", len(DATA)), "a write after the death")
    try:
        os.close(fd)
    except OSError:
        pass
    bed.mount()
    equal(staged_files(bed), [], "staged files after a restart")
    equal(os.listdir(bed.mount_point / "encrypt"), [image], "the directory")
    write_all(part_of(bed, image), DATA)
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def a_daemon_that_ends_before_the_seal_drops_the_staging(bed):
    image = mounted(bed)
    write_all(part_of(bed, image), DATA)
    never_active(bed, image)


@test
def unmounting_under_a_writer_is_busy(bed):
    image = mounted(bed)
    fd = os.open(part_of(bed, image), os.O_WRONLY | os.O_CREAT)
    put(fd, DATA[:MIB])
    bed.run("fusermount3", "-u", bed.mount_point, code=1)
    put(fd, DATA[MIB:], MIB)
    os.close(fd)
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def sigterm_lets_a_writer_finish(bed):
    image = mounted(bed, size=len(DATA))
    fd = os.open(file_of(bed, image), os.O_WRONLY)
    put(fd, DATA[:MIB])
    bed.daemon.terminate()
    put(fd, DATA[MIB:], MIB)
    os.close(fd)
    equal(bed.wait_daemon(), 0, "the daemon's exit code")
    bed.mount()
    becomes_active(bed, image, DATA)


@test
def a_daemon_of_another_project_leaves_the_upload_alone(bed):
    image = sealed_with(bed, 503)
    equal(bed.stop(), 0, "the daemon's exit code")
    service_recovers(bed, image)
    identity = bed.cloud.path / "identity.json"
    identity.write_text(json.dumps({"project_id": "0123456789abcdef0123456789abcdef"}))
    bed.mount()
    bed.run("ls", bed.mount_point / "encrypt")
    equal(bed.stop(), 0, "the daemon's exit code")
    equal(status_of(bed, image), "queued", "the image's status")
    equal(sealed_in_cache(bed), [image], "sealed uploads")
    identity.unlink()
    bed.mount()
    becomes_active(bed, image, DATA)


@test
def an_upload_that_a_dead_daemon_left_saving_is_resumed(bed):
    image = sealed_with(bed, 503)
    daemon_dies(bed)
    set_record(bed, image, glancefs_test_status=None, status="saving")
    bed.mount()
    becomes_active(bed, image, DATA)


@test
def without_a_daemon_the_command_sends_what_is_sealed(bed):
    image = sealed_with(bed, 503)
    equal(bed.stop(), 0, "the daemon's exit code")
    service_recovers(bed, image)
    uploads(bed, "retry", image)
    becomes_active(bed, image, DATA)
    bed.wait_for(lambda: not staged_files(bed), 10, "the staging directory to be empty")


@test
def a_damaged_journal_is_kept_and_told(bed):
    image = sealed_with(bed, 503)
    equal(bed.stop(), 0, "the daemon's exit code")
    service_recovers(bed, image)
    journal = bed.cache / "staging" / f"{image}.json"
    journal.write_bytes(journal.read_bytes()[:-20])
    bed.mount()
    equal(listed(bed)[image]["state"], "failed", "the listed state")
    equal(status_of(bed, image), "queued", "the image's status")
    equal(len(staged_files(bed)), 2, "staged files")


@test
def staged_bytes_that_changed_are_not_uploaded(bed):
    image = sealed_with(bed, 503)
    equal(bed.stop(), 0, "the daemon's exit code")
    service_recovers(bed, image)
    data = next(path for path in staged_files(bed) if path.suffix != ".json")
    stored = bytearray(data.read_bytes())
    stored[MIB] ^= 1
    data.write_bytes(stored)
    bed.mount()
    bed.wait_for(lambda: listed(bed)[image]["state"] == "failed", 30, "the upload to fail")
    check(status_of(bed, image) != "active", "it was uploaded")


# --- glancefs upload: the way for people ---

def upload(bed, *words, code=0, data=DATA, **options):
    (bed.tmp / "disk.raw").write_bytes(data)
    return bed.glancefs("upload", *cloud_options(bed), *words, code=code, **options)


def printed_id(answer):
    text = answer.stdout.decode().strip()
    check(re.fullmatch(r"[0-9a-f-]{36}", text), f"it prints {text!r}")
    return text


@test
def upload_creates_an_active_image_with_a_new_key(bed):
    image = printed_id(upload(bed, "--name", "my disk", "--new-key", "disk.raw"))
    record = bed.cloud.record(image)
    equal((record["name"], record["status"], record["disk_format"]), ("my disk", "active", "raw"),
          "name, status and format")
    equal((record["os_encrypt_format"], record["os_decrypt_size"]), ("GPG", str(len(DATA))),
          "format and size")
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "what decrypt/ shows")


@test
def upload_takes_a_key_a_format_and_standard_input(bed):
    key = bed.cloud.add_secret()
    image = printed_id(upload(bed, "--key", key, "--disk-format", "qcow2", "-", input=DATA,
                              stdin=None))
    record = bed.cloud.record(image)
    equal((record["os_encrypt_key_id"], record["disk_format"]), (key, "qcow2"), "key and format")
    same_bytes(decrypt(bed, image), DATA, "what gpg decrypts")
    equal(record["os_decrypt_size"], str(len(DATA)), "the size")


@test
def upload_beside_a_daemon_with_the_same_cache(bed):
    bed.mount()
    image = printed_id(upload(bed, "--new-key", "disk.raw"))
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "what decrypt/ shows")


@test
def upload_of_what_cannot_be_read_makes_no_image(bed):
    answer = upload(bed, "--new-key", "nothing", code=None)
    check(answer.returncode not in (0, 2) and b"nothing" in answer.stderr, f"it says {answer.stderr!r}")
    equal([path.name for path in (bed.cloud.path / "images").glob("*.data")], [], "images with data")


@test
def upload_with_an_unknown_key_makes_no_image(bed):
    answer = upload(bed, "--key", "11111111-2222-4333-8444-555555555555", "disk.raw", code=None)
    check(answer.returncode not in (0, 2) and answer.stderr, f"it says {answer.stderr!r}")
    equal([path.name for path in (bed.cloud.path / "images").glob("*.data")], [], "images with data")


@test
def upload_without_a_file_or_with_two_keys_is_a_usage_error(bed):
    upload(bed, code=2)
    upload(bed, "--key", bed.cloud.add_secret(), "--new-key", "disk.raw", code=2)


@test_with(limit=90)
def a_killed_upload_leaves_no_active_image_and_no_half_one(bed):
    (bed.tmp / "disk.raw").write_bytes(plaintext(64 * MIB, seed=42))
    child = bed.start(bed.program, "upload", *cloud_options(bed), "--new-key", bed.tmp / "disk.raw")
    bed.wait_for(lambda: staged_files(bed) or child.poll() is not None, 20, "the staging to begin")
    child.kill()
    child.wait(bed.seconds(10))
    if sealed_in_cache(bed):
        return  # it was quicker: sealed is sealed
    bed.mount()
    for path in (bed.cloud.path / "images").glob("*.json"):
        check(json.loads(path.read_text())["status"] != "active", f"{path.stem} is active")
    equal(staged_files(bed), [], "staged files")
