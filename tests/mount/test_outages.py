# SPDX-License-Identifier: Apache-2.0
"""What is served of cached images while the image service is out, and after it said that they may not be."""
import errno
import json
import os
import time

from bed import PASSPHRASE, check, equal, raises, read_all, same_bytes
from messages import MIB, QUICK, UNCOMPRESSED, plaintext
from registry import test

SIZE = 2 * MIB + 11
OUTAGE = {"glancefs_test_status": 503}


def change(bed, image, **fields):
    record = {**bed.cloud.record(image), **fields}
    bed.cloud.write_record(image, {name: value for name, value in record.items() if value is not None})


def reads(bed, image, data):
    same_bytes(bed.run("cat", bed.view(image)).stdout, data, f"image {image}")


def fails(bed, image, number):
    raises(number, lambda: os.close(os.open(bed.view(image), os.O_RDONLY)), f"open of {image}")


def objects(bed):
    return sorted(path.name[:36] for path in (bed.cache / "objects").iterdir())


@test
def within_record_ttl_an_outage_stops_no_open(bed):
    data = plaintext(SIZE, 1)
    image = bed.image(data)
    bed.mount()
    reads(bed, image, data)
    change(bed, image, **OUTAGE)
    reads(bed, image, data)


@test
def after_record_ttl_an_outage_is_the_answer(bed):
    data = plaintext(SIZE, 2)
    image = bed.image(data)
    bed.mount("-o", "record_ttl=0")
    reads(bed, image, data)
    change(bed, image, **OUTAGE)
    fails(bed, image, errno.EIO)
    change(bed, image, glancefs_test_status=None)
    reads(bed, image, data)


@test
def stale_serve_uses_the_last_record_and_asks_the_key_manager(bed):
    data = plaintext(SIZE, 3)
    image = bed.image(data)
    key = bed.cloud.record(image)["os_encrypt_key_id"]
    secret = bed.cloud.path / "secrets" / f"{key}.json"
    bed.mount("-o", "record_ttl=0,stale=serve")
    reads(bed, image, data)
    change(bed, image, **OUTAGE)
    reads(bed, image, data)
    secret.write_text(json.dumps({**json.loads(secret.read_text()), "glancefs_test_status": 403}))
    fails(bed, image, errno.EACCES)


@test
def stale_serve_has_nothing_to_go_by_after_a_restart(bed):
    data = plaintext(SIZE, 4)
    image = bed.image(data)
    bed.mount("-o", "stale=serve")
    reads(bed, image, data)
    equal(bed.stop(), 0, "exit code")
    change(bed, image, **OUTAGE)
    bed.mount("-o", "stale=serve")
    fails(bed, image, errno.EIO)
    equal(objects(bed), [image], "what is cached")


@test
def what_was_deactivated_before_an_outage_stays_refused(bed):
    data = plaintext(SIZE, 5)
    image = bed.image(data)
    bed.mount("-o", "record_ttl=0,stale=serve")
    reads(bed, image, data)
    change(bed, image, status="deactivated")
    fails(bed, image, errno.EACCES)
    change(bed, image, **OUTAGE)
    fails(bed, image, errno.EIO)
    change(bed, image, status="active", glancefs_test_status=None)
    reads(bed, image, data)


@test
def an_image_that_is_gone_goes_from_the_cache_when_nobody_reads_it(bed):
    data = plaintext(SIZE, 6)
    image, other = bed.image(data), bed.image(data)
    bed.mount("-o", "record_ttl=0")
    reads(bed, other, data)
    reader = os.open(bed.view(image), os.O_RDONLY)
    try:
        bed.cloud.remove(image)
        fails(bed, image, errno.ENOENT)
        same_bytes(read_all(reader), data, "what is open")
    finally:
        os.close(reader)

    def is_dropped():
        fails(bed, image, errno.ENOENT)
        return objects(bed) == [other]
    bed.wait_for(is_dropped, 10, "the image to leave the cache")
    reads(bed, other, data)


@test
def a_replaced_image_is_never_served_from_what_was_cached(bed):
    data, later = plaintext(SIZE, 7), plaintext(SIZE, 8)
    image = bed.image(data)
    key = bed.cloud.record(image)["os_encrypt_key_id"]
    bed.mount()
    reads(bed, image, data)
    stored = bed.gpg.encrypt(later, PASSPHRASE, *QUICK, *UNCOMPRESSED)
    bed.cloud.add_image(stored, key, decrypt_size=len(later), image=image)
    reads(bed, image, later)
    equal(objects(bed), [image], "what is cached")


def consumers_of(bed, image):
    key = bed.cloud.record(image)["os_encrypt_key_id"]
    secret = json.loads((bed.cloud.path / "secrets" / f"{key}.json").read_text())
    return [entry["resource_id"] for entry in secret.get("consumers", [])]


@test
def a_cache_is_no_consumer_of_what_it_does_not_hold(bed):
    data = plaintext(SIZE, 9)
    kept, evicted = bed.image(data), bed.image(data)
    bed.mount("-o", "consumers=on")
    reads(bed, kept, data)
    reads(bed, evicted, data)
    equal((consumers_of(bed, kept), consumers_of(bed, evicted)), ([kept], [evicted]), "consumers")
    equal(bed.stop(), 0, "exit code")
    bed.glancefs("cache", "evict", "--cache", bed.cache, evicted)
    long_ago = time.time() - 3600
    for entry in (bed.cache / "consumers").iterdir():
        os.utime(entry, (long_ago, long_ago))
    bed.mount("-o", "consumers=on")
    bed.wait_for(lambda: not consumers_of(bed, evicted), 10, "the consumer to be withdrawn")
    equal(consumers_of(bed, kept), [kept], "consumers of what is kept")
    reads(bed, evicted, data)
    equal(consumers_of(bed, evicted), [evicted], "consumers of what was fetched again")
    check(len(list((bed.cache / "consumers").iterdir())) == 2, "not two entries")
