# SPDX-License-Identifier: Apache-2.0
"""Image signatures: what the image service checked when it took the data, and what it could not."""
import base64
import errno
from pathlib import Path
from typing import Dict, NamedTuple

from bed import check, equal, raises
from cloud_bed import CloudBed
from messages import KIB, QUICK, UNCOMPRESSED, plaintext
from registry import add, test
from stack import PASSPHRASE

DATA = plaintext(300 * KIB + 7)


ISSUES = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")


class Signer(NamedTuple):
    key: Path
    secret: str      # its certificate's id in the key manager
    authority: Path  # the certificate of who issued that


def make_signer(bed: CloudBed, name: str = "signer") -> Signer:
    key, certificate, request = (bed.tmp / f"{name}.{suffix}" for suffix in ("key", "pem", "csr"))
    authority, authority_key = bed.tmp / f"{name}-ca.pem", bed.tmp / f"{name}-ca.key"
    bed.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", authority_key, "-out",
            authority, "-subj", f"/CN={name}'s authority", "-days", "2", *ISSUES)
    bed.run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request,
            "-subj", f"/CN={name}")
    bed.run("openssl", "x509", "-req", "-in", request, "-CA", authority, "-CAkey", authority_key,
            "-CAcreateserial", "-days", "2", "-out", certificate)
    return Signer(key, bed.cloud.add_secret(certificate.read_bytes(), kind="certificate"), authority)


def signed(bed: CloudBed, signer: Signer, data: bytes) -> Dict[str, str]:
    """The properties of an image with these stored bytes."""
    signature = bed.run("openssl", "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt",
                        "rsa_pss_saltlen:max", "-sign", signer.key, stdin=None, input=data).stdout
    return {"img_signature": base64.b64encode(signature).decode(), "img_signature_hash_method": "SHA-256",
            "img_signature_key_type": "RSA-PSS", "img_signature_certificate_uuid": signer.secret}


def signed_image(bed: CloudBed, signer: Signer) -> str:
    stored = bed.gpg.encrypt(DATA, PASSPHRASE, *QUICK, *UNCOMPRESSED)
    return bed.cloud.add_image(stored, bed.cloud.add_secret(), len(DATA), **signed(bed, signer, stored))


@test
def a_right_signature_is_accepted(bed):
    image = signed_image(bed, make_signer(bed))
    certificates = bed.proxy("key-manager")
    bed.mount("-o", "signature=if-present")
    bed.reads(image, DATA)
    secret = bed.cloud.record(image)["img_signature_certificate_uuid"]
    check(certificates.count("GET", secret), "the certificate was not fetched")


@test
def a_wrong_signature_is_refused(bed):
    """The properties of an active image may be altered, and the service checks nothing then."""
    signer = make_signer(bed)
    image = signed_image(bed, signer)
    bed.cloud.set_properties(image, **signed(bed, signer, b"other data"))
    bed.mount("-o", "signature=if-present")
    raises(errno.EBADMSG, lambda: bed.read(image), "open of an image with a wrong signature")


@test
def a_wrong_signature_does_not_matter_when_none_is_asked_for(bed):
    signer = make_signer(bed)
    image = signed_image(bed, signer)
    bed.cloud.set_properties(image, **signed(bed, signer, b"other data"))
    bed.mount("-o", "signature=off")
    bed.reads(image, DATA)


@test
def an_image_without_a_signature_is_read_unless_one_is_required(bed):
    image, signer = bed.image(DATA), make_signer(bed)
    authority = bed.cloud.add_secret(signer.authority.read_bytes(), kind="certificate")
    bed.mount("-o", "signature=if-present")
    bed.reads(image, DATA)
    equal(bed.stop(), 0, "the daemon's exit code")
    bed.mount("-o", f"signature=required,trusted_certificates={authority}")
    found = bed.right_or_refused(image, b"")
    check(found in (errno.EBADMSG, errno.EACCES), f"open of an image without a signature: {found}")
    other = signed_image(bed, signer)
    bed.reads(other, DATA)


@test
def a_required_signature_by_somebody_who_is_not_trusted_is_refused(bed):
    image = signed_image(bed, make_signer(bed, "stranger"))
    trusted = make_signer(bed, "trusted")
    bed.mount("-o", f"signature=required,trusted_certificates={trusted.authority}")
    found = bed.right_or_refused(image, b"")
    check(found in (errno.EBADMSG, errno.EACCES), f"open of an image that a stranger signed: {found}")


@test
def a_required_signature_by_a_trusted_signer_is_accepted(bed):
    signer = make_signer(bed)
    image = signed_image(bed, signer)
    bed.mount("-o", f"signature=required,trusted_certificates={signer.authority}")
    bed.reads(image, DATA)


@test
def signatures_required_without_anybody_to_trust_are_refused_at_start(bed):
    answer = bed.glancefs("mount", "-o", "signature=required", *bed.mount_command()[2:], code=2)
    check("trusted_certificates" in answer.stderr.decode(), f"it says {answer.stderr!r}")


@test
def a_certificate_that_is_gone_makes_no_signature_good(bed):
    image = signed_image(bed, make_signer(bed))
    bed.cloud.remove_secret(bed.cloud.record(image)["img_signature_certificate_uuid"])
    bed.mount("-o", "signature=if-present")
    check(bed.right_or_refused(image, b"") is not None, "the image was read")


@test
def a_cached_image_whose_signature_became_wrong_is_refused(bed):
    signer = make_signer(bed)
    image = signed_image(bed, signer)
    bed.mount("-o", "signature=if-present")
    bed.reads(image, DATA)
    equal(bed.stop(), 0, "the daemon's exit code")
    bed.cloud.set_properties(image, **signed(bed, signer, b"other data"))
    bed.mount("-o", "signature=if-present")
    raises(errno.EBADMSG, lambda: bed.read(image), "open of an image with a wrong signature")


KEYS = {"rsa": ["rsa:2048"], "secp384r1": ["ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"],
        "secp521r1": ["ec", "-pkeyopt", "ec_paramgen_curve:secp521r1"]}


def our_signature(kind: str):
    """The service verifies what we signed while it takes the data: that is the proof."""
    def run(bed):
        key, certificate = bed.tmp / "our.key", bed.tmp / "our.pem"
        bed.run("openssl", "req", "-x509", "-newkey", *KEYS[kind], "-nodes", "-keyout", key, "-out",
                certificate, "-subj", "/CN=us", "-days", "2")
        secret = bed.cloud.add_secret(certificate.read_bytes(), kind="certificate")
        image = bed.queued()
        options = f"signing_key={key},signing_certificate={secret},signature=if-present"
        bed.mount("-o", options)
        bed.write(image, DATA)
        bed.becomes_active(image, DATA)
        record = bed.cloud.record(image)
        equal(record["img_signature_certificate_uuid"], secret, "the certificate that the image names")
        bed.reads(image, DATA)
    return run


for key_kind in KEYS:
    add(f"an_upload_signed_with_{key_kind}_is_verified_by_the_image_service", our_signature(key_kind))
