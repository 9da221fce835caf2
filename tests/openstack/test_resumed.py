# SPDX-License-Identifier: Apache-2.0
"""Downloads from a real Glance that outlive the daemon that began them."""
from bed import equal
from cloud_bed import CloudBed
from messages import MIB, plaintext
from registry import test
from test_lies import FILE

DATA = plaintext(4 * MIB + 3, seed=22)


def present(bed: CloudBed) -> int:
    return sum(data.stat().st_size for data in bed.cache.glob("partial/*/data"))


def a_new_daemon_goes_on(bed: CloudBed, mode: str) -> None:
    image = bed.image(DATA)
    proxy = bed.proxy("image")
    proxy.fault("slow", "GET", FILE, rate=2 * MIB)
    bed.mount("-o", f"verify={mode}")
    child = bed.start("cat", bed.view(image))
    bed.wait_for(lambda: present(bed) >= MIB, 30, "the first MiB")
    bed.daemon.kill()
    bed.wait_daemon()
    bed.run("fusermount3", "-uz", bed.mount_point)
    child.wait(bed.seconds(20))
    there = present(bed)
    bed.mount("-o", f"verify={mode}")
    bed.reads(image, DATA)
    equal([line.range for line in proxy.lines("GET", FILE)], ["", f"bytes={there}-"], "what was asked for")
    equal(list(bed.cache.glob("partial/*")), [], "what is left of the download")


@test
def a_new_daemon_asks_only_for_what_is_missing(bed):
    a_new_daemon_goes_on(bed, "first")


@test
def a_new_daemon_asks_only_for_what_is_missing_under_verify_stream(bed):
    a_new_daemon_goes_on(bed, "stream")
