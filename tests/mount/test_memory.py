# SPDX-License-Identifier: Apache-2.0
"""Memory does not grow with the image: VmHWM of the daemon on an image of 4 GiB."""
import hashlib
import os
import subprocess

from bed import check, equal
from messages import MIB, plaintext
from registry import test_with

SIZE = 4096 * MIB
ONE_STREAM_KIB = 16 * 1024
RING_STREAM_KIB = 18 * 1024  # compressed or arriving: a ring of plaintext comes with the stream
FURTHER_STREAM_KIB = 4 * 1024
ARRIVING_STREAM_KIB = 6 * 1024  # it is downloaded, too
IDLE_OPEN_KIB = 64
LIMIT = 900


def add_stored(bed, stored):
    """Moves the stored bytes into the cloud, for a copy would take 4 GiB more."""
    with open(stored, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    size = stored.stat().st_size
    image = bed.cloud.add_image(None, bed.cloud.add_secret(b"secret"), decrypt_size=SIZE, size=size,
                                os_hash_algo="sha256", os_hash_value=digest)
    stored.rename(bed.cloud.data(image))
    return image


def large_image(bed):
    """4 GiB of zeros through `glancefs encrypt`; the plaintext is a hole that takes no disk."""
    plain, stored, key = bed.tmp / "plain", bed.tmp / "stored", bed.tmp / "key"
    plain.touch()
    os.truncate(plain, SIZE)
    key.write_bytes(b"secret")
    bed.glancefs("encrypt", "--key-file", key, "--output", stored, plain, limit=600)
    return add_stored(bed, stored)


def large_compressed_image(bed):
    """4 GiB of zeros that gpg compressed to some MiB."""
    (bed.tmp / "key").write_bytes(b"secret")
    stored = bed.tmp / "stored"
    gpg = f"gpg --homedir {bed.gpg.home} --batch --quiet --no-symkey-cache --pinentry-mode loopback " \
          f"--passphrase-file {bed.tmp / 'key'} -z1 --symmetric --output {stored}"
    bed.run("sh", "-c", f"head -c {SIZE} /dev/zero | {gpg}", limit=600)
    return add_stored(bed, stored)


def peak_kib(bed):
    with open(f"/proc/{bed.daemon.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def read_at_once(bed, image, streams):
    """So many readers of the whole image at a time; then the daemon's peak."""
    readers = [bed.start("sh", "-c", f"cat {bed.view(image)} | wc -c", stdout=subprocess.PIPE)
               for _ in range(streams)]
    for reader in readers:
        output, _ = reader.communicate(timeout=LIMIT)
        equal(int(output), SIZE, "bytes read")
    peak = peak_kib(bed)
    print(f"VmHWM with {streams} streams of 4 GiB: {peak} KiB", flush=True)
    return peak


@test_with(limit=LIMIT, alone=True, measures=True)
def memory_stays_small_with_1_and_8_streams_of_4_gib(bed):
    image = large_image(bed)
    bed.mount()
    one = read_at_once(bed, image, 1)
    check(one <= ONE_STREAM_KIB, f"VmHWM with one stream is {one} KiB")
    eight = read_at_once(bed, image, 8)
    check(eight <= one + 7 * FURTHER_STREAM_KIB, f"VmHWM is {one} KiB with 1 and {eight} KiB with 8")


@test_with(limit=LIMIT, alone=True, measures=True)
def memory_stays_small_with_a_compressed_image_of_4_gib(bed):
    image = large_compressed_image(bed)
    bed.mount()
    one = read_at_once(bed, image, 1)
    check(one <= RING_STREAM_KIB, f"VmHWM with one stream is {one} KiB")


@test_with(limit=LIMIT, alone=True, measures=True)
def memory_stays_small_with_arriving_images_and_idle_opens(bed):
    images = [bed.image(plaintext(16 * MIB, seed=n)) for n in range(9)]
    bed.mount("-o", "verify=stream,max_streams=300")
    with open(bed.view(images[0]), "rb", buffering=0) as stream:
        while stream.read(MIB):
            pass
        one = peak_kib(bed)
        idle = [os.open(bed.view(images[0]), os.O_RDONLY) for _ in range(200)]
        check(peak_kib(bed) <= one + len(idle) * IDLE_OPEN_KIB,
              f"VmHWM is {one} KiB with one stream and {peak_kib(bed)} KiB with {len(idle)} idle ones")
        for fd in idle:
            os.close(fd)
    print(f"VmHWM with one arriving image: {one} KiB", flush=True)
    check(one <= RING_STREAM_KIB, f"VmHWM with one arriving image is {one} KiB")
    readers = [bed.start("cat", bed.view(image)) for image in images[1:]]
    for reader in readers:
        equal(reader.wait(LIMIT), 0, "cat")
    print(f"VmHWM with {len(readers)} arriving images: {peak_kib(bed)} KiB", flush=True)
    check(peak_kib(bed) <= one + (len(readers) - 1) * ARRIVING_STREAM_KIB,
          f"VmHWM is {one} KiB with one arriving image and {peak_kib(bed)} KiB with {len(readers)}")
