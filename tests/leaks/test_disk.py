# SPDX-License-Identifier: Apache-2.0
"""P7: no plaintext and no key on the disk below the cache and TMPDIR, in deleted blocks neither."""
import contextlib
import os
import subprocess
from pathlib import Path

import leak_scan
from bed import check, equal
from messages import MIB
from registry import test
from secret_image import read_in_every_way, secret_image, secrets_of, write_and_seal

DISK_SIZE = 96 * MIB


@contextlib.contextmanager
def disk(bed, name="disk"):
    """A filesystem of its own, mounted; gives its image file and where it is mounted."""
    image, place = bed.tmp / f"{name}.img", bed.tmp / name
    place.mkdir()
    image.touch()
    os.truncate(image, DISK_SIZE)
    bed.run("mkfs.ext4", "-q", image)
    bed.run("mount", "-o", "loop", image, place)
    try:
        yield image, place
    finally:
        if os.path.ismount(place):
            subprocess.run(["umount", "--lazy", str(place)], check=False)


@test
def the_scan_finds_what_was_deleted_from_a_disk(bed):
    """Without this the other tests of this file would prove nothing."""
    secret = secret_image(bed)
    words = secrets_of(secret)
    with disk(bed) as (image, place):
        (place / "file").write_bytes(secret.data)
        equal(len(leak_scan.in_files(words, place)), 1, "findings in files")
        bed.run("sync", "--file-system", place)
        (place / "file").unlink()
        equal(leak_scan.in_files(words, place), [], "findings in the files that are left")
        bed.run("umount", place)
        equal(len(leak_scan.in_file(words, image)), 1, "findings on the disk")


def use_it_all(bed, secret, place, *options):
    """Reads, writes, fails, evicts; the cache and everything temporary are on the disk."""
    bed.cache = place / "cache"
    os.environ["TMPDIR"] = str(place / "tmp")
    Path(os.environ["TMPDIR"]).mkdir(exist_ok=True)
    bed.mount("-o", ",".join(("write_window=1M", "log_level=debug", *options)))
    read_in_every_way(bed, secret)
    written = write_and_seal(bed, secret)
    bed.run("cat", bed.view(written))
    stored = bed.cloud.data(secret.image).read_bytes()
    damaged = bed.cloud.add_image(stored[:-1] + bytes([stored[-1] ^ 1]), secret.key)
    bed.run("cat", bed.view(damaged), code=1)


def leaves_a_clean_disk(bed, *options):
    secret = secret_image(bed)
    words = secrets_of(secret)
    with disk(bed) as (image, place):
        use_it_all(bed, secret, place, *options)
        bed.run("sync", "--file-system", place)
        check(list((place / "cache" / "objects").iterdir()), "nothing was cached")
        equal(leak_scan.in_files(words, place), [], "findings in files")
        equal(bed.stop(), 0, "the daemon's exit code")
        bed.glancefs("cache", "prune", "--cache", bed.cache, "--all", code=None)
        bed.run("umount", place)
        equal(leak_scan.in_file(words, image), [], "findings on the disk")


@test
def reading_and_writing_leave_no_plaintext_and_no_key_on_the_disk(bed):
    leaves_a_clean_disk(bed)


@test
def an_image_that_arrives_leaves_no_plaintext_and_no_key_on_the_disk(bed):
    leaves_a_clean_disk(bed, "verify=stream")


@test
def gnupg_leaves_no_plaintext_and_no_key_on_the_disk(bed):
    leaves_a_clean_disk(bed, "engine=gpgme", f"runtime={bed.tmp / 'disk' / 'runtime'}")


@test
def a_killed_daemon_leaves_no_plaintext_and_no_key_on_the_disk(bed):
    secret = secret_image(bed)
    words = secrets_of(secret)
    with disk(bed) as (image, place):
        use_it_all(bed, secret, place)
        fd = os.open(bed.view(secret.image), os.O_RDONLY)
        os.read(fd, MIB)
        bed.daemon.kill()
        bed.daemon.wait()
        bed.daemon = None
        with contextlib.suppress(OSError):  # nobody answers any more
            os.close(fd)
        bed.run("fusermount3", "-uz", bed.mount_point)
        bed.run("umount", place)
        equal(leak_scan.in_file(words, image), [], "findings on the disk")
