# SPDX-License-Identifier: Apache-2.0
"""Images that a mount writes with authenticated encryption, in each of its modes."""
from bed import equal, same_bytes
from messages import MIB, packets, plaintext
from registry import add
from write_bed import mounted, part_of, seal, status_of

PLAIN = plaintext(MIB + 70001, seed=91)
# The packet type and version of the encrypted data.
MODES = {"ocb": (18, 2), "gcm": (18, 2), "librepgp-ocb": (20, 1)}


def written_and_read(mode):
    def test(bed):
        image = mounted(bed, f"aead={mode}")
        (bed.tmp / "src").write_bytes(PLAIN)
        bed.run("cp", bed.tmp / "src", part_of(bed, image))
        seal(bed, image)
        bed.wait_for(lambda: status_of(bed, image) == "active", 30, "the image to become active")
        data = list(packets(bed.cloud.data(image).read_bytes()))[-1]
        equal((data.tag, data.body[0]), MODES[mode], "type and version of the encrypted data")
        same_bytes(bed.run("cat", bed.view(image)).stdout, PLAIN, "the view")
    return test


for name in MODES:
    add(f"an_image_written_with_aead_{name.replace('-', '_')}_reads_back", written_and_read(name))
