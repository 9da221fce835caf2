# SPDX-License-Identifier: Apache-2.0
"""P19: certificates and names are verified, always."""
import os
from typing import Tuple

from bed import check, equal
from cloud_bed import SMALL_LIMITS, CloudBed
from fault_proxy import FaultProxy
from messages import KIB, plaintext
from registry import add, test

DATA = plaintext(200 * KIB)
CA_CONFIG = """[ca]
default_ca = c
[c]
database = {0}/index
new_certs_dir = {0}
serial = {0}/serial
default_md = sha256
policy = p
x509_extensions = x
[p]
commonName = supplied
[x]
subjectAltName = {1}
"""


def certificate(bed: CloudBed, name: str, names: str, begin: str = "20200101000000Z",
                end: str = "20990101000000Z") -> Tuple[str, str]:
    """A self-signed certificate and its key."""
    folder = bed.tmp / name
    folder.mkdir()
    (folder / "config").write_text(CA_CONFIG.format(folder, names))
    (folder / "index").touch()
    (folder / "serial").write_text("01\n")
    key, request, made = folder / "key.pem", folder / "request.pem", folder / "certificate.pem"
    bed.run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    bed.run("openssl", "ca", "-batch", "-config", folder / "config", "-selfsign", "-keyfile", key, "-in", request,
            "-out", made, "-startdate", begin, "-enddate", end, "-notext")
    return str(made), str(key)


def behind_tls(bed: CloudBed, pair: Tuple[str, str]) -> None:
    """All three services, each behind a proxy with this certificate."""
    for service, name in (("identity", "keystone"), ("image", "glance"), ("key-manager", "barbican")):
        bed.proxies[service] = FaultProxy(bed.stack.url(name), certificate=pair)
    bed.entry["auth"]["auth_url"] = bed.proxies["identity"].url + "/v3"
    bed.entry["image_endpoint_override"] = bed.proxies["image"].url
    bed.entry["key_manager_endpoint_override"] = bed.proxies["key-manager"].url


def good(bed: CloudBed) -> Tuple[str, str]:
    return certificate(bed, "good", "IP:127.0.0.1,DNS:localhost")


def no_mount(bed: CloudBed) -> None:
    answer = bed.glancefs("mount", "-o", SMALL_LIMITS, *bed.mount_command()[2:], code=None)
    check(answer.returncode in (2, 4, 7), f"exit code {answer.returncode}: {answer.stderr!r}")
    check("certificate" in answer.stderr.decode().lower(), f"it says {answer.stderr!r}")
    equal(bed.proxies["identity"].log, [], "requests that got through")


@test
def a_certificate_of_the_right_authority_is_accepted(bed):
    image = bed.image(DATA)
    pair = good(bed)
    behind_tls(bed, pair)
    bed.mount("-o", f"cafile={pair[0]}")
    bed.reads(image, DATA)


@test
def the_authority_of_clouds_yaml_is_accepted(bed):
    image = bed.image(DATA)
    pair = good(bed)
    behind_tls(bed, pair)
    bed.entry["cacert"] = pair[0]
    bed.mount()
    bed.reads(image, DATA)


@test
def a_self_signed_certificate_is_refused(bed):
    behind_tls(bed, good(bed))
    no_mount(bed)


@test
def a_certificate_of_another_authority_is_refused(bed):
    behind_tls(bed, good(bed))
    bed.entry["cacert"] = certificate(bed, "other", "IP:127.0.0.1")[0]
    no_mount(bed)


@test
def a_certificate_for_another_name_is_refused(bed):
    pair = certificate(bed, "name", "DNS:evil.example,IP:127.0.0.2")
    behind_tls(bed, pair)
    bed.entry["cacert"] = pair[0]
    no_mount(bed)


@test
def an_expired_certificate_is_refused(bed):
    pair = certificate(bed, "old", "IP:127.0.0.1", end="20210101000000Z")
    behind_tls(bed, pair)
    bed.entry["cacert"] = pair[0]
    no_mount(bed)


@test
def a_certificate_of_the_future_is_refused(bed):
    pair = certificate(bed, "new", "IP:127.0.0.1", begin="20900101000000Z")
    behind_tls(bed, pair)
    bed.entry["cacert"] = pair[0]
    no_mount(bed)


@test
def verification_cannot_be_turned_off(bed):
    """Neither in clouds.yaml nor in the environment."""
    behind_tls(bed, good(bed))
    bed.entry["verify"] = False
    os.environ["OS_INSECURE"] = "true"
    answer = bed.glancefs("mount", "-o", SMALL_LIMITS, *bed.mount_command()[2:], code=None)
    check(answer.returncode in (2, 4, 7), f"exit code {answer.returncode}: {answer.stderr!r}")
    equal(bed.proxies["identity"].log, [], "requests that got through")


def refused_later(service: str):
    """One service alone shows another certificate than the one that is trusted."""
    def run(bed):
        image = bed.image(DATA)
        pair = good(bed)
        behind_tls(bed, pair)
        name = {"image": "glance", "key-manager": "barbican"}[service]
        bed.proxies[service] = FaultProxy(bed.stack.url(name), certificate=certificate(bed, "bad", "IP:127.0.0.1"))
        bed.entry[f"{service.replace('-', '_')}_endpoint_override"] = bed.proxies[service].url
        bed.entry["cacert"] = pair[0]
        bed.mount("-o", SMALL_LIMITS)
        check(bed.right_or_refused(image, DATA) is not None, "the image was read")
        equal(bed.proxies[service].log, [], "requests that got through")
    return run


for at_service in ("image", "key-manager"):
    add(f"an_untrusted_certificate_of_the_{at_service.replace('-', '_')}_service_is_refused",
        refused_later(at_service))


@test
def a_redirect_from_tls_to_none_is_not_followed(bed):
    image = bed.image(DATA)
    pair = good(bed)
    behind_tls(bed, pair)
    plain = FaultProxy(bed.stack.url("glance"))
    bed.proxies["image"].fault("redirect", "GET", times=None, to=f"{plain.url}/v2/images/{image}")
    bed.entry["cacert"] = pair[0]
    bed.mount("-o", SMALL_LIMITS)
    check(bed.right_or_refused(image, DATA) is not None, "the image was read")
    equal(plain.log, [], "requests without TLS")
