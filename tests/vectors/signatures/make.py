#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the certificates, keys and signatures of this directory, with the library and the calls that
OpenStack's cursive uses: what verifies here verifies there. Each run makes new keys.

root.pem issued issuer.pem, which issued the others but stranger.pem (a root of its own) and
by_leaf.pem (issued by rsa.pem, which may not issue). NAME.HASH.sig is the base64 of NAME's signature
of message.bin.
"""
import base64
import datetime
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.x509.oid import NameOID

HERE = pathlib.Path(__file__).parent
MESSAGE = b"The ciphertext of an image, as far as its signature cares.\n"
CURVES = (ec.SECT571K1, ec.SECT409K1, ec.SECT571R1, ec.SECT409R1, ec.SECP521R1, ec.SECP384R1)
HASHES = (hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512())


def date(year):
    return datetime.datetime(year, 1, 1)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(subject, key, issuer, issuer_key, is_ca=False, usage=True, years=(2020, 2120)):
    builder = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(date(years[0])).not_valid_after(date(years[1]))
               .add_extension(x509.BasicConstraints(is_ca, None), critical=True))
    if usage:
        builder = builder.add_extension(
            x509.KeyUsage(not is_ca, False, False, False, False, is_ca, False, False, False),
            critical=True)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def private(key, encryption=serialization.NoEncryption()):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             encryption)


def sign(key, algorithm):
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(mgf=padding.MGF1(algorithm), salt_length=padding.PSS.MAX_LENGTH)
        return key.sign(MESSAGE, pss, algorithm)
    if isinstance(key, dsa.DSAPrivateKey):
        return key.sign(MESSAGE, algorithm)
    return key.sign(MESSAGE, ec.ECDSA(algorithm))


def put(file, content):
    (HERE / file).write_bytes(content)


def new_rsa():
    return rsa.generate_private_key(65537, 2048)


def main():
    root, issuer = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    leaves = {"rsa": new_rsa(), "dsa": dsa.generate_private_key(2048)}
    leaves.update({"ecc_" + curve.name: ec.generate_private_key(curve()) for curve in CURVES})
    put("message.bin", MESSAGE)
    put("root.pem", certificate("root", root, "root", root, is_ca=True))
    put("issuer.pem", certificate("issuer", issuer, "root", root, is_ca=True))
    put("bundle.pem", (HERE / "root.pem").read_bytes() + (HERE / "issuer.pem").read_bytes())
    put("stranger.pem", certificate("stranger", issuer, "stranger", issuer, is_ca=True))
    put("without_usage.pem", certificate("bare", root, "bare", root, is_ca=True, usage=False))
    for leaf, key in leaves.items():
        put(leaf + ".pem", certificate(leaf, key, "issuer", issuer))
        for algorithm in HASHES:
            put(f"{leaf}.{algorithm.name}.sig", base64.b64encode(sign(key, algorithm)) + b"\n")
    for leaf in ("rsa", "dsa", "ecc_secp384r1"):
        put(leaf + ".key", private(leaves[leaf]))
    key = leaves["rsa"]
    put("expired.pem", certificate("expired", key, "issuer", issuer, years=(2000, 2001)))
    put("future.pem", certificate("future", key, "issuer", issuer, years=(2119, 2120)))
    put("by_leaf.pem", certificate("by leaf", leaves["dsa"], "rsa", key))
    put("p256.key", private(root))
    put("p256.pem", certificate("p256", root, "issuer", issuer))
    put("encrypted.key", private(key, serialization.BestAvailableEncryption(b"secret")))
    weak = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    put("rsa.short_salt.sig", base64.b64encode(key.sign(MESSAGE, weak, hashes.SHA256())) + b"\n")


if __name__ == "__main__":
    main()
