# SPDX-License-Identifier: Apache-2.0
"""Images that other programs made are read, images that we make are opened by others; who we are."""
import errno
import json
import os

from bed import check, equal, raises, same_bytes
from cloud_bed import yaml
from messages import KIB, QUICK, UNCOMPRESSED, plaintext
from registry import test, test_with
from stack import add_application_credential
from write_bed import ERROR, file_of, state_of

DATA = plaintext(700 * KIB + 123)
IMAGES = 300


# --- both ways, with the command-line clients ---

@test
def an_image_of_openstackclient_is_copied_out_of_the_mount(bed):
    """Its list of container formats is fixed; `encrypted` is not among them."""
    stored = bed.tmp / "disk.gpg"
    stored.write_bytes(bed.gpg.encrypt(DATA, b"a pass phrase", *QUICK))
    secret = bed.openstack("secret", "store", "--name", "disk key", "--secret-type", "passphrase",
                           "--payload", "a pass phrase", "-f", "value", "-c", "Secret href")
    properties = {"os_encrypt_format": "GPG", "os_encrypt_type": "symmetric", "os_encrypt_cipher": "AES256",
                  "os_encrypt_key_id": secret.split("/")[-1], "os_decrypt_size": len(DATA),
                  "os_decrypt_container_format": "bare"}
    words = [word for name, value in properties.items() for word in ("--property", f"{name}={value}")]
    image = bed.openstack("image", "create", "--container-format", "bare", "--disk-format", "raw",
                          "--file", stored, *words, "-f", "value", "-c", "id", "disk")
    bed.mount()
    bed.reads(image, DATA)


@test
def an_image_of_glanceclient_with_container_format_encrypted_is_copied_out_of_the_mount(bed):
    stored = bed.tmp / "disk.gpg"
    stored.write_bytes(bed.gpg.encrypt(DATA, b"a pass phrase", *QUICK, *UNCOMPRESSED))
    secret = bed.cloud.add_secret(b"a pass phrase")
    table = bed.openstack("image-create", "--name", "disk", "--container-format", "encrypted",
                          "--disk-format", "raw", "--file", stored, "--property", "os_encrypt_format=GPG",
                          "--property", f"os_encrypt_key_id={secret}", program="glance")
    image = next(line.split("|")[2].strip() for line in table.splitlines() if line.startswith("| id "))
    bed.mount()
    bed.reads(image, DATA)


@test
def a_key_that_is_no_passphrase_is_used_as_its_hexadecimal_digits(bed):
    key = bytes(range(32))
    stored = bed.gpg.encrypt(DATA, key.hex().encode(), *QUICK, *UNCOMPRESSED)
    secret = bed.cloud.add_secret(key, kind="symmetric", algorithm="aes", bit_length=256)
    image = bed.cloud.add_image(stored, secret, len(DATA))
    bed.mount()
    bed.reads(image, DATA)


@test
def a_reference_to_a_secret_in_place_of_its_id_is_understood(bed):
    """Only the id in it is used: the address could be anybody's."""
    secret = bed.cloud.add_secret()
    stored = bed.cloud.add_image(bed.gpg.encrypt(DATA, bed.cloud.payload(secret), *QUICK),
                                 f"http://192.0.2.1:9311/v1/secrets/{secret}", len(DATA))
    bed.mount()
    bed.reads(stored, DATA)


@test
def a_snapshot_written_into_the_mount_is_downloaded_and_opened_by_gpg(bed):
    image = bed.queued()
    bed.mount()
    bed.write(image, DATA)
    bed.becomes_active(image, DATA)
    stored = bed.tmp / "stored.gpg"
    bed.openstack("image", "save", "--file", stored, image)
    passphrase = bed.openstack("secret", "get", "--payload", "-f", "value", "-c", "Payload",
                               f"{bed.cloud.barbican}/secrets/{bed.cloud.record(image)['os_encrypt_key_id']}")
    same_bytes(bed.decrypt(stored.read_bytes(), passphrase.encode()), DATA, "what gpg makes of the snapshot")


@test
def the_command_upload_makes_key_and_image(bed):
    source = bed.tmp / "disk.raw"
    source.write_bytes(DATA)
    image = bed.glancefs("upload", "--cloud", bed.cloud.name, "--name", "snapshot", "--new-key",
                         source).stdout.decode().strip()
    record = bed.cloud.record(image)
    equal((record["status"], record["name"], record["container_format"], record["disk_format"]),
          ("active", "snapshot", "encrypted", "raw"), "the record")
    bed.holds(image, DATA)
    equal(bed.cloud.consumers(record["os_encrypt_key_id"]),
          [{"service": "image", "resource_type": "image", "resource_id": image}], "the key's consumers")
    bed.mount()
    bed.reads(image, DATA)


@test
def the_command_upload_takes_a_key_that_is_there(bed):
    secret = bed.cloud.add_secret()
    image = bed.glancefs("upload", "--cloud", bed.cloud.name, "--key", secret, "--disk-format", "qcow2", "-",
                         stdin=None, input=DATA).stdout.decode().strip()
    equal(bed.cloud.record(image)["os_encrypt_key_id"], secret, "the key that the image names")
    equal(bed.cloud.record(image)["disk_format"], "qcow2", "the disk format")
    bed.holds(image, DATA)


# --- lists ---

@test_with(limit=120)
def three_hundred_images_are_listed_page_by_page(bed):
    bed.act_as(bed.admin().add_tenant())
    images = sorted(bed.cloud.add_image(None, "0" * 8 + "-0000-4000-8000-" + "0" * 12, name=f"image {n}")
                    for n in range(IMAGES))
    proxy = bed.proxy("image")
    answer = bed.glancefs("images", "list", "--json", "--cloud", bed.cloud.name)
    found = json.loads(answer.stdout)
    found = found["images"] if isinstance(found, dict) else found
    equal(sorted(one["id"] for one in found), images, "the images listed")
    check(proxy.count("GET", r"^/v2/images\?.*marker=") > 0, f"no second page was asked for: {proxy.log}")
    bed.mount()
    equal(sorted(os.listdir(bed.mount_point / "encrypt")), images, "the images that wait for data")
    equal(os.listdir(bed.mount_point / "decrypt"), [], "the images that can be read")


@test
def a_page_that_leads_back_to_itself_does_not_keep_us(bed):
    image = bed.image(DATA)
    page = json.dumps({"images": [bed.cloud.record(image)], "next": f"/v2/images?limit=1&marker={image}"})
    bed.proxy("image").fault("status", "GET", r"^/v2/images\?", times=None, code=200, body=page.encode(),
                             headers={"Content-Type": "application/json"})
    answer = bed.glancefs("images", "list", "--cloud", bed.cloud.name, code=None, limit=30)
    check(answer.returncode not in (0, -6, -11), f"exit code {answer.returncode}: {answer.stdout!r}")


@test
def images_of_other_formats_are_told_from_ours(bed):
    """A plain image is not there, one for LUKS is refused by name."""
    secret = bed.cloud.add_secret()
    plain = bed.cloud.add_image(DATA, None, container_format="bare", os_encrypt_format=None,
                                os_encrypt_type=None, os_encrypt_cipher=None,
                                os_decrypt_container_format=None)
    luks = bed.cloud.add_image(DATA, secret, os_encrypt_format="LUKSv1")
    cinder = bed.cloud.add_image(DATA, None, container_format="bare", os_encrypt_format=None,
                                 cinder_encryption_key_id=secret)
    bed.mount()
    raises(errno.ENOENT, lambda: bed.read(plain), "open of a plain image")
    raises(errno.EOPNOTSUPP, lambda: bed.read(luks), "open of a LUKS image")
    raises(errno.EOPNOTSUPP, lambda: bed.read(cinder), "open of an image with a volume's key")
    check("LUKS" in bed.log_text(), "the log does not name the format")


@test
def property_names_of_another_generation_are_read(bed):
    secret = bed.cloud.add_secret()
    stored = bed.gpg.encrypt(DATA, bed.cloud.payload(secret), *QUICK)
    # os_glance_* is reserved by Glance itself: only the case of the format can differ here.
    image = bed.cloud.add_image(stored, secret, len(DATA), os_encrypt_format="gpg")
    bed.mount()
    bed.reads(image, DATA)


# --- who we are ---

def reads_with(bed, *arguments: str, name: str = "openstack") -> None:
    image = bed.image(DATA)
    bed.cloud.name = name
    bed.mount(*arguments)
    bed.reads(image, DATA)


@test
def a_password_of_the_environment_is_used(bed):
    auth = bed.entry["auth"]
    os.environ.update(OS_AUTH_URL=auth["auth_url"], OS_USERNAME=bed.account.user,
                      OS_PASSWORD=bed.account.password, OS_PROJECT_NAME=bed.account.project,
                      OS_USER_DOMAIN_NAME="Default", OS_PROJECT_DOMAIN_NAME="Default",
                      OS_REGION_NAME="RegionOne")
    reads_with(bed)


@test
def an_application_credential_of_the_environment_is_used(bed):
    made = add_application_credential(bed.cloud)
    os.environ.update(OS_AUTH_URL=bed.entry["auth"]["auth_url"], OS_AUTH_TYPE="v3applicationcredential",
                      OS_APPLICATION_CREDENTIAL_ID=made["id"], OS_REGION_NAME="RegionOne",
                      OS_APPLICATION_CREDENTIAL_SECRET=made["secret"])
    reads_with(bed)


@test
def an_application_credential_of_clouds_yaml_is_used(bed):
    """Its tokens end with it, in the other form of date: no fraction, no zone."""
    made = add_application_credential(bed.cloud, expires_at="2099-01-01T00:00:00")
    bed.entry["auth_type"] = "v3applicationcredential"
    bed.entry["auth"] = {"auth_url": bed.entry["auth"]["auth_url"],
                         "application_credential_id": made["id"],
                         "application_credential_secret": made["secret"]}
    reads_with(bed, name="openstack:test")


@test
def an_application_credential_that_may_only_read_suffices(bed):
    rules = [{"service": "image", "method": "GET", "path": "/v2/images"},
             {"service": "image", "method": "GET", "path": "/v2/images/**"},
             {"service": "key-manager", "method": "GET", "path": "/v1/secrets/**"}]
    made = add_application_credential(bed.cloud, access_rules=rules)
    bed.entry["auth_type"] = "v3applicationcredential"
    bed.entry["auth"] = {"auth_url": bed.entry["auth"]["auth_url"], "application_credential_id": made["id"],
                         "application_credential_secret": made["secret"]}
    queued = bed.queued()
    reads_with(bed, name="openstack:test")
    check(queued in os.listdir(bed.mount_point / "encrypt"), "the queued image is not listed")
    bed.write(queued, DATA)

    def reason():
        try:
            return os.getxattr(file_of(bed, queued), ERROR).decode()
        except OSError:
            return ""
    # A login that is refused may be let in again: what is sealed waits, and says why.
    bed.wait_for(lambda: "401" in reason() or "refused" in reason(), 30, "the refusal to be told")
    equal(state_of(file_of(bed, queued)) == "failed", False, "given up")
    equal(bed.cloud.status(queued), "queued", "the image's status")


@test
def a_password_of_secure_yaml_is_used(bed):
    bed.entry["auth"].update(username=bed.account.user, password="overridden",
                             project_name=bed.account.project)
    (bed.tmp / "secure.yaml").write_text(yaml({"clouds": {"test": {"auth": {
        "password": bed.account.password}}}}))
    # secure.yaml is looked for where clouds.yaml may be: in the working directory, for one.
    bed.has_own_clouds = False
    os.environ["OS_CLOUD"] = "test"
    reads_with(bed)


@test
def clouds_yaml_in_the_home_directory_is_found(bed):
    bed.has_own_clouds = False
    bed.write_clouds()
    place = bed.tmp / ".config" / "openstack"
    place.mkdir(parents=True)
    (bed.tmp / "clouds.yaml").rename(place / "clouds.yaml")
    bed.write_clouds = lambda: None
    reads_with(bed, name="openstack:test")


@test
def credentials_of_our_own_configuration_file_are_used(bed):
    config = bed.tmp / "glancefs.conf"
    config.write_text("[glancefs]\n"
                      f"os_auth_url = {bed.entry['auth']['auth_url']}\nos_username = {bed.account.user}\n"
                      f"os_password = {bed.account.password}\nos_project_name = {bed.account.project}\n")
    config.chmod(0o600)
    reads_with(bed, "--config", str(config))


@test
def the_services_of_the_region_asked_for_are_used(bed):
    bed.act_as(bed.admin().add_tenant(), image_service="glance2")
    data = plaintext(100 * KIB)
    image = bed.image(data, container_format="bare")
    bed.entry["region_name"] = "RegionTwo"
    bed.mount()
    bed.reads(image, data)


def mount_is_refused(bed, code: int, *words: str) -> None:
    """The mount command ends with this code and says so in its one line."""
    answer = bed.glancefs("mount", *bed.mount_command()[2:], code=code, limit=15)
    text = answer.stderr.decode()
    for word in words:
        check(word in text, f"the message does not say {word!r}: {text!r}")
    check(bed.account.password not in text, f"the message tells the password: {text!r}")


@test
def a_wrong_password_is_refused_at_start(bed):
    bed.entry["auth"]["password"] = "wrong"
    mount_is_refused(bed, 4, "Keystone")


@test
def an_unknown_application_credential_is_refused_at_start(bed):
    """Keystone answers 404 here, not 401."""
    bed.entry["auth"] = {"auth_url": bed.entry["auth"]["auth_url"], "application_credential_id": "0" * 32,
                         "application_credential_secret": "x"}
    bed.entry["auth_type"] = "v3applicationcredential"
    mount_is_refused(bed, 4, "Keystone")


@test
def a_user_without_a_role_in_the_project_is_refused_at_start(bed):
    bed.entry["auth"]["project_name"] = "alt"
    mount_is_refused(bed, 4, "Keystone")


@test
def a_region_that_is_not_in_the_catalog_is_refused_at_start(bed):
    bed.entry["region_name"] = "RegionNine"
    mount_is_refused(bed, 2, "RegionNine")


@test
def an_entry_that_clouds_yaml_does_not_have_is_refused_at_start(bed):
    bed.cloud.name = "openstack:nowhere"
    mount_is_refused(bed, 3, "nowhere")


@test
def an_address_without_tls_on_another_machine_is_refused_at_start(bed):
    bed.entry["auth"]["auth_url"] = "http://192.0.2.1:5000/v3"
    mount_is_refused(bed, 2, "allow_http")
