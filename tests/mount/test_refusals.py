# SPDX-License-Identifier: Apache-2.0
"""Images that must not be served: one errno from the table, no byte shown, no target left."""
import errno
import json
import os
import re

from bed import PASSPHRASE, equal, raises, same_bytes
from messages import (MIB, QUICK, UNCOMPRESSED, compressible, flip, header_size, literal, packet,
                      plaintext, unprotected)
from registry import add, test

DATA = plaintext(2 * MIB + 17, seed=4)


def stored_message(bed, data=DATA, *options):
    return bed.gpg.encrypt(data, PASSPHRASE, *QUICK, *(options or UNCOMPRESSED))


# --- damage that Glance's hash shows, and damage that only the message itself shows ---

DAMAGES = {
    "a_byte_flipped_in_the_middle": lambda m: flip(m, len(m) // 2),
    "a_byte_flipped_in_the_first_encrypted_block": lambda m: flip(m, header_size(m) + 8),
    "a_byte_flipped_in_the_last_block": lambda m: flip(m, len(m) - 30),
    "a_byte_flipped_in_the_mdc": lambda m: flip(m, len(m) - 3),
    "a_byte_flipped_in_the_salt": lambda m: flip(m, 8),
    "its_last_byte_cut_off": lambda m: m[:-1],
    "its_last_megabyte_cut_off": lambda m: m[:-MIB],
    "its_mdc_cut_off": lambda m: m[:-22],
    "nothing_but_its_first_packet": lambda m: m[:20],
    "a_byte_added": lambda m: m + b"\0",
    "itself_added_once_more": lambda m: m + m,
}


def damaged_is_refused(damage, hash_follows):
    def run(bed):
        sound = stored_message(bed)
        image = bed.cloud.add_image(damage(sound) if hash_follows else sound, bed.cloud.add_secret(),
                                    decrypt_size=len(DATA))
        bed.cloud.data(image).write_bytes(damage(sound))
        bed.mount()
        bed.refused(image, errno.EBADMSG)
    return run


for name, change in DAMAGES.items():
    add(f"an_image_with_{name}_is_refused", damaged_is_refused(change, False))
    add(f"an_image_with_{name}_and_a_matching_hash_is_refused", damaged_is_refused(change, True))


def damaged_compressed_is_refused(damage):
    def run(bed):
        sound = stored_message(bed, compressible(3 * MIB), "-z6")
        image = bed.cloud.add_image(damage(sound), bed.cloud.add_secret())
        bed.mount()
        bed.refused(image, errno.EBADMSG)
    return run


for name in ("a_byte_flipped_in_the_middle", "its_last_byte_cut_off", "a_byte_added"):
    add(f"a_compressed_image_with_{name}_is_refused", damaged_compressed_is_refused(DAMAGES[name]))


@test
def cp_of_a_tampered_image_fails_and_leaves_nothing(bed):
    image = bed.cloud.add_image(flip(stored_message(bed), MIB), bed.cloud.add_secret())
    bed.mount()
    target = bed.target / "copy"
    answer = bed.run("cp", bed.view(image), target, code=1)
    equal(os.listdir(bed.target), [], "the target directory")
    equal(answer.stderr.decode().strip().endswith("Bad message"), True, answer.stderr.decode())


@test
def tar_rsync_dd_and_sha256sum_of_a_tampered_image_fail(bed):
    image = bed.cloud.add_image(flip(stored_message(bed), MIB), bed.cloud.add_secret())
    bed.mount()
    view, target = bed.view(image), bed.target / "copy"
    bed.run("dd", f"if={view}", f"of={target}", "bs=1M", code=1)
    bed.run("sha256sum", view, code=1)
    bed.run("tar", "-cf", bed.target / "archive", view, code=2)
    bed.run("rsync", view, target, code=23)
    bed.run("install", view, target, code=1)
    bed.run("curl", "--silent", "--output", bed.target / "curl", f"file://{view}", code=37)
    answer = bed.run("head", "-c", "100", view, code=1)
    same_bytes(answer.stdout, b"", "head's output")


@test
def a_sound_image_is_served_beside_a_tampered_one(bed):
    bad = bed.cloud.add_image(flip(stored_message(bed), MIB), bed.cloud.add_secret())
    good = bed.image(DATA)
    bed.mount()
    bed.refused(bad, errno.EBADMSG)
    same_bytes(bed.run("cat", bed.view(good)).stdout, DATA, "cat's output")


@test
def a_refused_image_is_served_once_it_is_mended(bed):
    sound = stored_message(bed)
    image = bed.cloud.add_image(sound, bed.cloud.add_secret(), decrypt_size=len(DATA))
    bed.cloud.data(image).write_bytes(flip(sound, MIB))
    bed.mount()
    bed.refused(image, errno.EBADMSG)
    bed.cloud.data(image).write_bytes(sound)
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


# --- keys ---

@test
def a_wrong_key_is_refused_like_damage(bed):
    wrong = bed.cloud.add_image(stored_message(bed), bed.cloud.add_secret(b"another passphrase"))
    damaged = bed.cloud.add_image(flip(stored_message(bed), MIB), bed.cloud.add_secret())
    bed.mount()
    for image in (wrong, damaged):
        bed.refused(image, errno.EBADMSG)
    def causes(image):
        """What the log says of the image, but for who asked, and for which image and key."""
        return {re.sub(r"pid[ =]\d+|[0-9a-f-]{36}", "", line)
                for line in bed.log_text().splitlines() if image in line}
    equal(causes(wrong), causes(damaged), "what the log says of the two")
    equal(len(causes(wrong)), 2, "kinds of lines: the refusal and its audit")


@test
def a_key_with_a_line_feed_at_its_end_is_another_key(bed):
    image = bed.cloud.add_image(stored_message(bed), bed.cloud.add_secret(PASSPHRASE + b"\n"))
    bed.mount()
    bed.refused(image, errno.EBADMSG)


@test
def an_empty_key_is_rejected(bed):
    image = bed.cloud.add_image(stored_message(bed), bed.cloud.add_secret(b""))
    bed.mount()
    bed.refused(image, errno.EKEYREJECTED)


@test
def a_secret_without_payload_is_rejected(bed):
    image = bed.cloud.add_image(stored_message(bed), bed.cloud.add_secret(None))
    bed.mount()
    bed.refused(image, errno.EKEYREJECTED)


@test
def a_secret_over_the_size_limit_is_rejected(bed):
    image = bed.cloud.add_image(stored_message(bed), bed.cloud.add_secret(b"x" * 30000))
    bed.mount()
    bed.refused(image, errno.EKEYREJECTED)


@test
def a_missing_secret_is_told_as_no_key(bed):
    image = bed.cloud.add_image(stored_message(bed), "11111111-2222-3333-4444-555555555555")
    bed.mount()
    bed.refused(image, errno.ENOKEY)


@test
def an_image_that_names_no_key_is_told_as_no_key(bed):
    image = bed.cloud.add_image(stored_message(bed), None)
    bed.mount()
    bed.refused(image, errno.ENOKEY)


@test
def a_key_id_that_is_no_uuid_is_told_as_no_key(bed):
    image = bed.cloud.add_image(stored_message(bed), "../images/x")
    bed.mount()
    bed.refused(image, errno.ENOKEY)


@test
def of_a_key_reference_only_the_uuid_counts(bed):
    key = bed.cloud.add_secret()
    image = bed.cloud.add_image(stored_message(bed), f"http://127.0.0.1:1/v1/secrets/{key}")
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


@test
def a_secret_that_the_key_manager_forbids_is_denied(bed):
    key = bed.cloud.add_secret(glancefs_test_status=403)
    image = bed.cloud.add_image(stored_message(bed), key)
    bed.mount()
    bed.refused(image, errno.EACCES)


@test
def a_refusal_of_the_key_manager_counts_at_once(bed):
    key = bed.cloud.add_secret()
    image = bed.cloud.add_image(stored_message(bed), key)
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    held = os.open(bed.view(image), os.O_RDONLY)
    path = bed.cloud.path / "secrets" / f"{key}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "glancefs_test_status": 403}))
    bed.refused(image, errno.EACCES)
    os.close(held)


@test
def a_deleted_secret_counts_at_once(bed):
    key = bed.cloud.add_secret()
    image = bed.cloud.add_image(stored_message(bed), key)
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    for suffix in (".json", ".payload"):
        (bed.cloud.path / "secrets" / (key + suffix)).unlink()
    bed.refused(image, errno.ENOKEY)


# --- records and formats ---

def wrong_size_is_refused(declared):
    def run(bed):
        image = bed.cloud.add_image(stored_message(bed), bed.cloud.add_secret(), decrypt_size=declared)
        bed.mount()
        bed.refused(image, errno.EBADMSG)
    return run


add("an_image_shorter_than_declared_is_refused", wrong_size_is_refused(len(DATA) + 1))
add("an_image_longer_than_declared_is_refused", wrong_size_is_refused(len(DATA) - 1))
add("an_image_declared_empty_is_refused", wrong_size_is_refused(0))


def stored_bytes_are_refused(make, number=errno.EBADMSG):
    def run(bed):
        image = bed.cloud.add_image(make(bed), bed.cloud.add_secret())
        bed.mount()
        bed.refused(image, number)
    return run


add("an_image_that_is_not_openpgp_is_refused", stored_bytes_are_refused(lambda _: plaintext(MIB)))
add("an_image_of_zeros_is_refused", stored_bytes_are_refused(lambda _: bytes(MIB)))
add("an_image_of_text_is_refused", stored_bytes_are_refused(lambda _: b"hello, world\n" * 1000))
add("an_image_of_no_bytes_is_refused", stored_bytes_are_refused(lambda _: b""))
add("luks_data_under_a_gpg_record_is_refused",
    stored_bytes_are_refused(lambda _: b"LUKS\xba\xbe\0\1" + bytes(MIB)))
add("an_unencrypted_literal_is_refused", stored_bytes_are_refused(lambda _: literal(DATA)))
add("a_literal_after_a_session_key_is_refused",
    stored_bytes_are_refused(lambda bed: stored_message(bed)[:15] + literal(DATA)))
add("a_message_without_integrity_protection_is_refused",
    stored_bytes_are_refused(lambda bed: unprotected(stored_message(bed))))
add("a_marker_alone_is_refused", stored_bytes_are_refused(lambda _: packet(10, b"PGP")))


@test
def a_luks_image_is_refused_by_name(bed):
    image = bed.cloud.add_image(b"LUKS\xba\xbe\0\1" + bytes(MIB), bed.cloud.add_secret(),
                                os_encrypt_format="LUKSv1")
    bed.mount()
    bed.refused(image, errno.EOPNOTSUPP, "LUKS")


@test
def a_cinder_encrypted_image_is_refused_by_name(bed):
    image = bed.cloud.add_image(bytes(MIB), None, os_encrypt_format=None, os_encrypt_type=None,
                                cinder_encryption_key_id=bed.cloud.add_secret())
    bed.mount()
    bed.refused(image, errno.EOPNOTSUPP, "cinder")


@test
def a_plain_image_is_not_there(bed):
    image = bed.cloud.add_image(bytes(MIB), None, os_encrypt_format=None, os_encrypt_type=None,
                                os_encrypt_cipher=None, os_decrypt_container_format=None)
    good = bed.image(b"x")
    bed.mount()
    raises(errno.ENOENT, lambda: os.stat(bed.view(image)), "stat of a plain image")
    equal(os.listdir(bed.mount_point / "decrypt"), [good], "the list")


@test
def the_format_is_compared_in_any_case(bed):
    image = bed.image(DATA, os_encrypt_format="gpg")
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


def status_is_refused(status, number):
    def run(bed):
        image = bed.image(DATA, status=status)
        bed.mount()
        raises(number, lambda: os.close(os.open(bed.view(image), os.O_RDONLY)), "open")
        equal(os.listdir(bed.mount_point / "decrypt"), [], "the list")
    return run


for state in ("queued", "saving", "killed", "deleted", "pending_delete"):
    add(f"an_image_that_is_{state}_is_not_there", status_is_refused(state, errno.ENOENT))
add("an_image_that_is_deactivated_is_denied", status_is_refused("deactivated", errno.EACCES))


@test
def an_image_that_glance_forbids_is_denied(bed):
    image = bed.image(DATA, glancefs_test_status=403)
    bed.mount()
    raises(errno.EACCES, lambda: os.close(os.open(bed.view(image), os.O_RDONLY)), "open")


@test
def an_image_that_does_not_exist_is_not_there(bed):
    bed.mount()
    for name in ("11111111-2222-3333-4444-555555555555", "not-a-uuid", "..x", "a" * 255):
        raises(errno.ENOENT, lambda n=name: os.stat(bed.view(n)), f"stat of {name}")


@test
def an_image_deleted_from_glance_is_no_longer_served(bed):
    image = bed.image(DATA)
    bed.mount("-o", "record_ttl=0")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    bed.cloud.remove(image)

    def is_gone():
        try:
            os.close(os.open(bed.view(image), os.O_RDONLY))
            return False
        except FileNotFoundError:
            return True
    bed.wait_for(is_gone, 10, "the image to be gone")


@test
def a_hand_written_record_without_hash_is_hashed_by_the_local_cloud(bed):
    image = bed.image(DATA, os_hash_algo=None, os_hash_value=None, checksum=None)
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


@test
def an_image_with_an_unknown_hash_is_refused_while_require_hash_is_on(bed):
    stored = stored_message(bed)
    image = bed.cloud.add_image(stored, bed.cloud.add_secret(), os_hash_algo="crc32", os_hash_value="00" * 4)
    bed.mount()
    bed.refused(image, errno.EOPNOTSUPP, "hash")


@test
def an_image_without_hash_is_served_when_require_hash_is_off(bed):
    image = bed.image(DATA, os_hash_algo=None, os_hash_value=None)
    bed.mount("-o", "require_hash=no")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


@test
def an_image_with_an_md5_hash_only_is_refused(bed):
    image = bed.image(DATA, os_hash_algo="md5", os_hash_value="0" * 32)
    bed.mount()
    bed.refused(image, errno.EOPNOTSUPP)


@test
def a_cloud_of_one_tenant_serves_images_of_any_owner(bed):
    """A local cloud has no projects; the rule about foreign owners is tested in tests/unit/view."""
    image = bed.image(DATA, owner="0123456789abcdef0123456789abcdef")
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


@test
def a_record_that_is_no_json_hides_only_itself(bed):
    broken = bed.image(DATA)
    good = bed.image(b"good")
    (bed.cloud.path / "images" / f"{broken}.json").write_text("{ not json")
    bed.mount()
    equal(os.listdir(bed.mount_point / "decrypt"), [good], "the list")
    same_bytes(bed.run("cat", bed.view(good)).stdout, b"good", "cat's output")


@test
def errors_name_no_secret(bed):
    image = bed.cloud.add_image(stored_message(bed), bed.cloud.add_secret(b"hidden-passphrase"))
    bed.mount("-o", "log_level=debug")
    bed.refused(image, errno.EBADMSG)
    for secret in (b"hidden-passphrase", b"hidden-passphrase".hex().encode()):
        equal(secret in bed.log_text().encode(), False, "a secret in the log")


@test
def a_log_line_names_its_image_once(bed):
    image = bed.image(b"data", os_encrypt_key_id=None)
    bed.mount()
    raises(errno.ENOKEY, lambda: bed.view(image).read_bytes(), "the open")
    lines = [line for line in bed.log_text().splitlines() if "open by pid" in line]
    equal([line.count(image) for line in lines], [1], f"names in {lines}")
