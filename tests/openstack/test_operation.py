# SPDX-License-Identifier: Apache-2.0
"""What operators meet: the overview of images, a mount in the background, logs, consumers, odd records."""
import base64
import errno
import json
import socket
import subprocess
import time

from bed import check, equal, raises, same_bytes
from cloud_bed import SMALL_LIMITS
from messages import KIB, MIB, QUICK, UNCOMPRESSED, plaintext
from registry import test, test_with
from stack import PASSPHRASE
from test_lies import FILE, JSON, RECORD
from write_bed import file_of, has_state

DATA = plaintext(300 * KIB + 31)


@test
def the_overview_tells_the_state_of_keys_and_of_the_cache(bed):
    bed.act_as(bed.admin().add_tenant())
    stored = bed.gpg.encrypt(DATA, PASSPHRASE, *QUICK, *UNCOMPRESSED)
    cached, other = bed.image(DATA, name="cached"), bed.image(DATA, name="other")
    gone, nameless = bed.image(DATA, name="gone"), bed.cloud.add_image(stored, None)
    denied = bed.cloud.add_image(stored, bed.stack.api("alt").add_secret())
    bed.cloud.remove_secret(bed.cloud.record(gone)["os_encrypt_key_id"])
    bed.mount()
    bed.reads(cached, DATA)
    answer = bed.glancefs("images", "--json", "--cloud", bed.cloud.name, "--cache", bed.cache)
    found = {one["id"]: one for one in json.loads(answer.stdout)}
    equal({image: (one["key"], one["cached"]) for image, one in found.items()},
          {cached: ("ok", True), other: ("ok", False), gone: ("gone", False), denied: ("denied", False),
           nameless: ("none", False)}, "what is told of the images")
    text = bed.glancefs("images", "--cloud", bed.cloud.name, "--cache", bed.cache).stdout.decode()
    for image in found:
        check(image in text, f"the overview does not show {image}: {text!r}")


@test
def a_mount_in_the_background_reads(bed):
    image = bed.image(DATA)
    bed.glancefs(*bed.mount_command(foreground=False)[1:])
    bed.reads(image, DATA)
    equal(json.loads((bed.mount_point / "status").read_text())["version"] != "", True, "the status")
    bed.unmount()


@test
def no_secret_is_logged(bed):
    """At the most talkative level: not the password, a token, or a passphrase; request ids are."""
    image, queued = bed.image(DATA), bed.queued()
    identity, proxy = bed.proxy("identity"), bed.proxy("image")
    keys = bed.proxy("key-manager")
    bed.mount("-o", f"log_level=debug,{SMALL_LIMITS}")
    bed.reads(image, DATA)
    proxy.fault("status", "GET", FILE, code=401)
    keys.fault("status", "GET", code=403)
    other = bed.image(DATA)
    bed.right_or_refused(other, DATA)
    bed.right_or_refused(other, DATA)
    bed.write(queued, DATA)
    has_state(bed, file_of(bed, queued), "active")
    secrets = {line.token.encode() for line in [*identity.log, *proxy.log, *keys.log] if line.token}
    check(len(secrets) >= 2, "no second token was used")
    secrets |= {bed.account.password.encode(), PASSPHRASE}
    log = bed.log_text().encode()
    check(b"req-" in log, "no request id is logged")
    for secret in secrets:
        for form in (secret, secret.hex().encode(), base64.b64encode(secret), secret[:24]):
            check(form not in log, f"a secret is logged: {form[:6]!r}...")


@test
def no_secret_is_in_the_arguments_or_the_cache(bed):
    image = bed.image(DATA)
    proxy = bed.proxy("image")
    bed.mount()
    bed.reads(image, DATA)
    secrets = [bed.account.password.encode(), PASSPHRASE, proxy.log[-1].token.encode()]
    places = [path.read_bytes() for path in bed.cache.rglob("*") if path.is_file()]
    with open(f"/proc/{bed.daemon.pid}/cmdline", "rb") as arguments:
        places.append(arguments.read())
    for secret in secrets:
        check(not any(secret in place for place in places), "a secret was left somewhere")


# --- consumers of secrets ---

def image_consumer(image: str) -> dict:
    return {"service": "image", "resource_type": "image", "resource_id": image}


@test
def an_uploaded_image_is_a_consumer_of_its_key_until_it_is_gone(bed):
    image = bed.queued()
    key = bed.cloud.record(image)["os_encrypt_key_id"]
    bed.mount()
    bed.write(image, DATA)
    has_state(bed, file_of(bed, image), "active")
    equal(bed.cloud.consumers(key), [image_consumer(image)], "the key's consumers")
    equal(bed.stop(), 0, "the daemon's exit code")
    bed.cloud.remove(image)
    bed.mount()
    bed.wait_for(lambda: bed.cloud.consumers(key) == [], 20, "the consumer to be withdrawn")


@test
def a_reader_is_a_consumer_only_when_asked_to_be(bed):
    image = bed.image(DATA)
    key = bed.cloud.record(image)["os_encrypt_key_id"]
    bed.mount()
    bed.reads(image, DATA)
    equal(bed.cloud.consumers(key), [], "the key's consumers")
    equal(bed.stop(), 0, "the daemon's exit code")
    bed.mount("-o", "consumers=on")
    bed.reads(image, DATA)
    bed.reads(image, DATA)
    found = bed.cloud.consumers(key)
    equal(len(found), 1, "consumers")
    check(found[0]["service"] == "compute" and image in found[0]["resource_id"]
          and socket.gethostname() in json.dumps(found[0]), f"the consumer is {found[0]}")


@test
def a_key_manager_that_takes_no_consumers_stops_no_upload(bed):
    image = bed.queued()
    bed.proxy("key-manager").fault("status", "POST", "/consumers", times=None, code=403)
    bed.mount()
    bed.write(image, DATA)
    bed.becomes_active(image, DATA)


# --- odd records ---

@test
def an_image_that_names_no_key_is_refused(bed):
    stored = bed.gpg.encrypt(DATA, PASSPHRASE, *QUICK, *UNCOMPRESSED)
    image = bed.cloud.add_image(stored, None)
    bed.mount()
    raises(errno.ENOKEY, lambda: bed.read(image), "open of an image without a key")


@test
def a_key_id_that_is_no_uuid_reaches_no_service(bed):
    stored = bed.gpg.encrypt(DATA, PASSPHRASE, *QUICK, *UNCOMPRESSED)
    keys = bed.proxy("key-manager")
    images = [bed.cloud.add_image(stored, key) for key in ("../../v1/orders", "x", "a b\r\nX-Evil: 1", "%2e%2e")]
    bed.mount()
    for image in images:
        raises(errno.ENOKEY, lambda one=image: bed.read(one), "open with a key id that is none")
    equal(keys.log, [], "requests to the key manager")


@test
def property_names_that_a_service_reserved_for_itself_are_read(bed):
    """os_glance_*: no client may set them, so the proxy does."""
    image = bed.image(DATA)
    record = {name.replace("os_encrypt_", "os_glance_encrypt_").replace("os_decrypt_", "os_glance_decrypt_"): value
              for name, value in bed.cloud.record(image).items()}
    check("os_glance_encrypt_key_id" in record, f"no such property: {record}")
    bed.proxy("image").fault("status", "GET", RECORD, times=None, code=200, body=json.dumps(record).encode(),
                             headers=JSON)
    bed.mount()
    bed.reads(image, DATA)


@test
def plaintext_under_the_properties_of_an_encrypted_image_is_refused_and_told(bed):
    """A snapshot that Nova makes today inherits them, and is plain."""
    disk = bytes(512) + DATA
    image = bed.cloud.add_image(disk, bed.cloud.add_secret(), len(disk))
    bed.mount()
    raises(errno.EBADMSG, lambda: bed.read(image), "open of plaintext")
    check("OpenPGP" in bed.log_text(), f"the log does not say that it is no OpenPGP: {bed.log_text()!r}")


@test
def an_image_that_is_deleted_during_its_download_is_right_or_refused(bed):
    image = bed.image(DATA)
    proxy = bed.proxy("image")
    bed.mount("-o", SMALL_LIMITS)
    proxy.fault("stall", "GET", FILE, seconds=1)
    reader = bed.start("cp", bed.view(image), bed.target / "copy")
    bed.wait_for(lambda: proxy.count("GET", FILE), 10, "the download")
    bed.cloud.remove(image)
    if reader.wait(bed.seconds(20)) == 0:
        same_bytes((bed.target / "copy").read_bytes(), DATA, "the copy")
    raises(errno.ENOENT, lambda: bed.read(image), "open of a deleted image")


# --- more than one piece ---

@test_with(limit=120)
def an_image_of_many_megabytes_goes_both_ways(bed):
    data = plaintext(40 * MIB + 7)
    image = bed.queued(size=len(data))
    bed.mount()
    bed.write(image, data)
    bed.becomes_active(image, data)
    bed.reads(image, data)


@test_with(limit=120)
def many_images_are_read_at_once(bed):
    images = [bed.image(DATA) for _ in range(12)]
    bed.mount()
    began = time.monotonic()
    children = [bed.start("cp", bed.view(image), bed.target / image, stderr=subprocess.DEVNULL)
                for image in images]
    for child in children:
        equal(child.wait(bed.seconds(60)), 0, "cp's exit code")
    check(time.monotonic() - began < bed.seconds(40), "it took too long")
    for image in images:
        same_bytes((bed.target / image).read_bytes(), DATA, "a copy")
