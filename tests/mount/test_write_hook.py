# SPDX-License-Identifier: Apache-2.0
"""contrib/hooks/snapshot-to-glance: the example for operators does what it says."""
import os
import time
from pathlib import Path

from bed import check, equal
from messages import MIB, plaintext
from registry import test
from write_bed import (becomes_active, file_of, mounted, never_active, part_of, sealed_in_cache,
                       set_record, status_of)

HOOK = Path(__file__).resolve().parents[2] / "contrib" / "hooks" / "snapshot-to-glance"
DATA = plaintext(2 * MIB + 5, seed=71)


def snapshot(bed):
    path = bed.tmp / "snapshot"
    path.write_bytes(DATA)
    return path


def hand_over(bed, *words, code=0):
    return bed.run(HOOK, "--mount", bed.mount_point, *words, code=code)


def refused(bed, *words, code, says):
    text = hand_over(bed, *words, code=code).stderr.decode()
    check(says in text, f"it does not say {says!r}: {text!r}")


@test
def the_hook_makes_an_active_image_of_a_snapshot(bed):
    image = mounted(bed)
    answer = hand_over(bed, image, snapshot(bed))
    equal((answer.stdout, answer.stderr), (b"", b""), "what it says")
    becomes_active(bed, image, DATA)
    check(snapshot(bed).exists(), "the snapshot is gone")


@test
def the_hook_takes_a_declared_size(bed):
    image = mounted(bed, size=len(DATA))
    hand_over(bed, image, snapshot(bed))
    becomes_active(bed, image, DATA)


@test
def the_hook_has_help_and_refuses_wrong_usage(bed):
    check(b"Usage" in bed.run(HOOK, "--help").stdout, "no help")
    image = mounted(bed)
    for words in ([], [image], [image, "a", "b"], ["no-id", snapshot(bed)], ["--frobnicate"],
                  ["--timeout", "soon", image, snapshot(bed)], ["--timeout"]):
        refused(bed, *words, code=2, says="see --help")
    never_active(bed, image)


@test
def the_hook_says_what_is_missing(bed):
    image = mounted(bed)
    refused(bed, image, bed.tmp / "nothing", code=1, says="nothing")
    refused(bed, "11111111-2222-4333-8444-555555555555", snapshot(bed), code=1, says="not queued")
    answer = bed.run(HOOK, "--mount", bed.tmp, image, snapshot(bed), code=1)
    check(str(bed.tmp).encode() in answer.stderr, f"it says {answer.stderr!r}")
    never_active(bed, image)


@test
def the_hook_refuses_an_image_that_is_active(bed):
    image = bed.image(DATA)
    bed.mount()
    refused(bed, image, snapshot(bed), code=1, says="not queued")


@test
def the_hook_leaves_another_writers_file_alone(bed):
    image = mounted(bed)
    fd = os.open(part_of(bed, image), os.O_WRONLY | os.O_CREAT)
    os.write(fd, DATA)
    refused(bed, image, snapshot(bed), code=1, says="cannot be written")
    os.close(fd)
    os.rename(part_of(bed, image), file_of(bed, image))
    becomes_active(bed, image, DATA)


@test
def a_killed_hook_removes_its_part(bed):
    image = mounted(bed)
    large = bed.tmp / "large"
    # Not sparse: cp would be through with a hole before anybody can kill it.
    bed.run("dd", "if=/dev/zero", f"of={large}", "bs=1M", "count=1024", "status=none")
    child = bed.start(HOOK, "--mount", bed.mount_point, image, large, start_new_session=True)
    part = part_of(bed, image)
    bed.wait_for(lambda: part.exists() and os.stat(part).st_size > 0, 10, "its copy to begin")
    os.killpg(child.pid, 15)
    check(child.wait(bed.seconds(20)) != 0, "it succeeded")
    check(not part.exists(), "its part is still there")
    never_active(bed, image)


@test
def the_hook_tells_of_a_failed_upload(bed):
    image = mounted(bed)
    child = start_while_the_service_answers(bed, image, 403)
    equal(child.wait(bed.seconds(40)), 3, "its exit code")
    check(b"failed" in child.stderr.read(), "it does not say so")
    equal(sealed_in_cache(bed), [image], "sealed uploads")


@test
def the_hook_does_not_wait_for_ever(bed):
    image = mounted(bed)
    child = start_while_the_service_answers(bed, image, 503, "--timeout", "2")
    equal(child.wait(bed.seconds(30)), 4, "its exit code")
    equal(status_of(bed, image), "queued", "the image's status")
    set_record(bed, image, glancefs_test_status=None)
    becomes_active(bed, image, DATA, limit=60)


def start_while_the_service_answers(bed, image, status, *options):
    """A hook whose image service breaks down between its copy and its seal."""
    bin_directory = bed.tmp / "bin"
    bin_directory.mkdir()
    (bin_directory / "setfattr").write_text(f"#!/bin/sh\ntouch {bed.tmp}/copied\n"
                                      f"while [ ! -e {bed.tmp}/broken ]; do sleep 0.05; done\n"
                                      'exec /usr/bin/setfattr "$@"\n')
    (bin_directory / "setfattr").chmod(0o755)
    child = bed.start(HOOK, "--mount", bed.mount_point, *options, image, snapshot(bed),
                      env={**os.environ, "PATH": f"{bin_directory}:{os.environ['PATH']}"})
    bed.wait_for((bed.tmp / "copied").exists, 20, "the copy")
    set_record(bed, image, glancefs_test_status=status)
    time.sleep(0.1)
    (bed.tmp / "broken").touch()
    return child
