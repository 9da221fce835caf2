# SPDX-License-Identifier: Apache-2.0
"""Who may read what: projects, roles, lists of readers, keys and images that go away. What lies in the
cache counts for nothing."""
import datetime
import errno
import os
import time

from bed import check, equal, raises, same_bytes
from cloud_bed import SMALL_LIMITS, CloudBed
from messages import KIB, QUICK, UNCOMPRESSED, plaintext
from registry import test

DATA = plaintext(500 * KIB + 17)
OTHER = plaintext(500 * KIB + 17, seed=2)


def read_then(bed: CloudBed, change) -> str:
    """An image that was read once, so that it is cached, and for which something changed since."""
    image = bed.image(DATA)
    bed.mount("-o", SMALL_LIMITS)
    bed.reads(image, DATA)
    change(image)
    return image


def key_of(bed: CloudBed, image: str) -> str:
    return bed.cloud.record(image)["os_encrypt_key_id"]


# --- images of others ---

@test
def an_image_of_another_project_is_not_there(bed):
    image = bed.image(DATA)
    bed.act_as(bed.stack.account("alt"))
    bed.mount()
    raises(errno.ENOENT, lambda: bed.read(image), "open of another project's image")
    check(image not in os.listdir(bed.mount_point / "decrypt"), "another project's image is listed")


@test
def a_public_image_of_another_project_is_refused_unless_its_owner_is_named(bed):
    """Even when its key may be read: it may be our own key, named by somebody else."""
    image = bed.image(DATA)
    owner = bed.cloud.project_id
    bed.cloud.set_properties(image, visibility="community")
    bed.act_as(bed.stack.account("alt"))
    bed.stack.api("demo").set_acl(key_of(bed, image), True, [bed.cloud.user_id])
    bed.mount()
    raises(errno.EACCES, lambda: bed.read(image), "open of another project's image")
    equal(bed.stop(), 0, "the daemon's exit code")
    bed.mount("-o", f"foreign_owners={owner}")
    bed.reads(image, DATA)


@test
def our_ciphertext_and_key_id_registered_by_another_tenant_give_nothing(bed):
    """Not to that tenant, whom Barbican refuses, and not through our own mount."""
    image = bed.image(DATA)
    key = key_of(bed, image)
    other = bed.stack.api("alt")
    copy = other.add_image(bed.cloud.download(image), key, len(DATA), visibility="community")
    bed.mount()
    raises(errno.EACCES, lambda: bed.read(copy), "open of the copy through the mount of the key's owner")
    bed.reads(image, DATA)
    equal(bed.stop(), 0, "the daemon's exit code")
    bed.act_as(bed.stack.account("alt"))
    bed.mount()
    raises(errno.EACCES, lambda: bed.read(copy), "open of the copy by who made it")


# --- keys ---

@test
def a_member_without_a_role_for_keys_is_refused(bed):
    image = bed.image(DATA)
    bed.act_as(bed.stack.account("demomember"))
    bed.mount()
    raises(errno.EACCES, lambda: bed.read(image), "open by a user who may not read keys")
    check(image in os.listdir(bed.mount_point / "decrypt"), "the image is not listed")


@test
def an_observer_reads_and_cannot_write(bed):
    image, queued = bed.image(DATA), bed.queued()
    bed.act_as(bed.stack.account("demoobs"))
    bed.mount()
    bed.reads(image, DATA)
    check(queued in os.listdir(bed.mount_point / "encrypt"), "the queued image is not listed")


@test
def a_list_of_readers_decides_about_a_key(bed):
    image = bed.image(DATA)
    owner = bed.cloud
    owner.set_acl(key_of(bed, image), False)
    bed.act_as(bed.stack.account("demo2"))
    bed.mount()
    raises(errno.EACCES, lambda: bed.read(image), "open by a user who is not on the list")
    owner.set_acl(key_of(bed, image), False, [bed.cloud.user_id])
    bed.reads(image, DATA)
    owner.set_acl(key_of(bed, image), False)
    raises(errno.EACCES, lambda: bed.read(image), "open by a user who was taken off the list")


@test
def a_refusal_counts_while_another_open_goes_on(bed):
    """P16: the right is asked for at each open; what is open stays open."""
    image = bed.image(DATA)
    owner = bed.cloud
    bed.act_as(bed.stack.account("demo2"))
    bed.mount()
    with open(bed.view(image), "rb", buffering=0) as stream:
        owner.set_acl(key_of(bed, image), False)
        raises(errno.EACCES, lambda: bed.read(image), "a second open")
        same_bytes(b"".join(iter(lambda: stream.read(1 << 16), b"")), DATA, "the first open")


@test
def a_key_that_was_deleted_is_gone_for_a_cached_image(bed):
    """P16"""
    image = read_then(bed, lambda image: bed.cloud.remove_secret(key_of(bed, image)))
    raises(errno.ENOKEY, lambda: bed.read(image), "open without a key")


@test
def a_key_that_expired_is_gone(bed):
    soon = datetime.datetime.utcnow() + datetime.timedelta(seconds=2)
    secret = bed.cloud.add_secret(expiration=soon.isoformat())
    stored = bed.gpg.encrypt(DATA, b"correct horse battery staple", *QUICK, *UNCOMPRESSED)
    image = bed.cloud.add_image(stored, secret, len(DATA))
    bed.mount()
    bed.wait_for(lambda: datetime.datetime.utcnow() > soon, 5, "the key to expire")
    raises(errno.ENOKEY, lambda: bed.read(image), "open with an expired key")


@test
def a_key_without_a_payload_is_refused(bed):
    secret = bed.cloud.call("POST", bed.cloud.barbican + "/secrets",
                            {"name": "empty", "secret_type": "passphrase"}).json()["secret_ref"].split("/")[-1]
    image = bed.cloud.add_image(bed.gpg.encrypt(DATA, b"x", *QUICK), secret, len(DATA))
    bed.mount()
    raises(errno.EKEYREJECTED, lambda: bed.read(image), "open with a key that has no payload")


@test
def a_wrong_key_is_not_told_from_damaged_data(bed):
    stored = bed.gpg.encrypt(DATA, b"one passphrase", *QUICK, *UNCOMPRESSED)
    wrong = bed.cloud.add_image(stored, bed.cloud.add_secret(b"another"), len(DATA))
    damaged = bed.cloud.add_image(stored[:5000] + b"\0\0" + stored[5002:],
                                  bed.cloud.add_secret(b"one passphrase"), len(DATA))
    bed.mount()
    raises(errno.EBADMSG, lambda: bed.read(wrong), "open with a wrong key")
    raises(errno.EBADMSG, lambda: bed.read(damaged), "open of damaged data")


# --- images that change ---

@test
def an_image_that_was_deleted_is_gone_though_it_is_cached(bed):
    """P16"""
    image = read_then(bed, bed.cloud.remove)
    raises(errno.ENOENT, lambda: bed.read(image), "open of a deleted image")


@test
def an_image_that_was_deactivated_is_refused_though_it_is_cached(bed):
    """P16"""
    image = read_then(bed, lambda image: bed.cloud.act(image, "deactivate"))
    found = bed.right_or_refused(image, b"")
    check(found in (errno.EACCES, errno.ENOENT), f"open of a deactivated image: {found}")
    bed.cloud.act(image, "reactivate")
    bed.wait_for(lambda: bed.right_or_refused(image, DATA) is None, 10, "the image to be there again")


@test
def an_image_deactivated_before_it_was_read_is_refused(bed):
    image = bed.image(DATA)
    bed.mount()
    bed.view(image).stat()
    bed.cloud.act(image, "deactivate")
    found = bed.right_or_refused(image, b"")
    check(found in (errno.EACCES, errno.ENOENT), f"open of a deactivated image: {found}")


@test
def a_right_that_was_taken_counts_for_a_cached_image(bed):
    """P16: the user loses the role in the project, and with it every token."""
    admin = bed.admin()
    account = admin.add_user("demo", "member", "creator")
    image = bed.image(DATA)
    bed.act_as(account)
    bed.mount("-o", SMALL_LIMITS)
    bed.reads(image, DATA)
    for role in ("member", "creator"):
        admin.take_role(account, role)
    raises(errno.EACCES, lambda: bed.read(image), "open after the roles were taken")


@test
def a_user_who_was_disabled_reads_nothing_any_more(bed):
    """P16"""
    admin = bed.admin()
    account = admin.add_user("demo", "member", "creator")
    image = bed.image(DATA)
    bed.act_as(account)
    bed.mount("-o", SMALL_LIMITS)
    bed.reads(image, DATA)
    admin.set_enabled(account, False)
    raises(errno.EACCES, lambda: bed.read(image), "open by a disabled user")
    # Keystone counts the seconds of a revocation whole: a token of the same second is void.
    time.sleep(1.1)
    admin.set_enabled(account, True)
    bed.reads(image, DATA)


def object_files(bed: CloudBed, image: str):
    """What the cache holds of an image."""
    return [path for path in bed.cache.rglob("*") if path.is_file() and image in str(path)
            and path.stat().st_size > 100 * KIB]


def edited(bed: CloudBed, image: str) -> None:
    for path in object_files(bed, image):
        before = path.stat()
        with open(path, "r+b") as stream:
            stream.seek(before.st_size // 2)
            byte = stream.read(1)
            stream.seek(before.st_size // 2)
            stream.write(bytes([byte[0] ^ 1]))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@test
def a_cached_object_that_was_edited_while_nothing_ran_is_never_shown(bed):
    """P16: it is compared with Glance's hash again, and fetched anew."""
    image = bed.image(DATA)
    bed.mount()
    bed.reads(image, DATA)
    equal(bed.stop(), 0, "the daemon's exit code")
    check(object_files(bed, image), f"nothing is cached: {list(bed.cache.rglob('*'))}")
    edited(bed, image)
    proxy = bed.proxy("image")
    bed.mount()
    found = bed.right_or_refused(image, DATA)
    if found is not None:
        equal(found, errno.EBADMSG, "the refusal")
        bed.reads(image, DATA)
    equal(proxy.count("GET", "/file$"), 1, "downloads")


@test
def a_cached_object_that_was_edited_under_the_mount_is_never_shown(bed):
    """P16"""
    image = bed.image(DATA)
    bed.mount()
    bed.reads(image, DATA)
    edited(bed, image)
    found = bed.right_or_refused(image, DATA)
    if found is not None:
        equal(found, errno.EBADMSG, "the refusal")
    bed.reads(image, DATA)


@test
def a_cached_object_is_not_fetched_again(bed):
    """Else the tests of an edited cache would prove nothing."""
    image = bed.image(DATA)
    proxy = bed.proxy("image")
    bed.mount()
    bed.reads(image, DATA)
    equal(bed.stop(), 0, "the daemon's exit code")
    bed.mount()
    bed.reads(image, DATA)
    equal(proxy.count("GET", "/file$"), 1, "downloads")


@test
def stored_bytes_that_were_altered_behind_the_image_service_are_refused(bed):
    """Its answer is a 200 with the right length and the right Content-Md5."""
    image = bed.image(DATA)
    path = bed.stack.stored_file(image)
    stored = path.read_bytes()
    path.write_bytes(stored[:1000] + bytes([stored[1000] ^ 1]) + stored[1001:])
    bed.mount()
    raises(errno.EBADMSG, lambda: bed.read(image), "open of altered bytes")
    path.write_bytes(stored)
    bed.reads(image, DATA)


@test
def an_image_replaced_under_the_same_id_is_not_mistaken_for_the_old_one(bed):
    """Glance takes an id only once; a restored data base, or another region, may show it again."""
    image = bed.image(DATA)
    bed.mount()
    bed.reads(image, DATA)
    equal(bed.stop(), 0, "the daemon's exit code")
    bed.cloud = bed.stack.api("demo", "glance2")
    bed.entry["region_name"] = "RegionTwo"
    other = bed.image(OTHER, id=image, container_format="bare")
    equal(other, image, "the id of the new image")
    bed.mount()
    bed.reads(image, OTHER)
