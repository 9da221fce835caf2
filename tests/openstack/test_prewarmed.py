# SPDX-License-Identifier: Apache-2.0
"""`glancefs fetch` and `glancefs cache prune` against a real Glance, and what stands in front of it."""
import json
import os

from bed import check, equal
from cloud_bed import SMALL_LIMITS, CloudBed
from messages import KIB, MIB, plaintext
from registry import test
from test_lies import FILE, RECORD

DATA = plaintext(4 * MIB + 3, seed=21)
PAGE = b"<html><body>404 page not found</body></html>"


def options_of(bed: CloudBed) -> list:
    return ["--cloud", bed.cloud.name, "--cache", str(bed.cache)]


def quick_limits() -> dict:
    pairs = (pair.split("=") for pair in SMALL_LIMITS.split(","))
    return {**os.environ, **{f"GLANCEFS_{name.upper()}": value for name, value in pairs}}


def prune(bed: CloudBed, **options: object) -> dict:
    answer = bed.glancefs("cache", "prune", "--json", *options_of(bed), env=quick_limits(), **options)
    return json.loads(answer.stdout)


def cached_images(bed: CloudBed) -> set:
    answer = bed.glancefs("cache", "list", "--json", "--cache", bed.cache)
    return {one["image_id"] for one in json.loads(answer.stdout)}


@test
def what_was_fetched_from_glance_is_not_fetched_by_the_mount(bed):
    images = [bed.image(DATA), bed.image(DATA[:300 * KIB])]
    bed.glancefs("fetch", *options_of(bed), *images)
    proxy = bed.proxy("image")
    bed.mount()
    bed.reads(images[0], DATA)
    bed.reads(images[1], DATA[:300 * KIB])
    equal(proxy.count("GET", FILE), 0, "downloads by the mount")


@test
def a_killed_fetch_asks_glance_only_for_what_is_missing(bed):
    image = bed.image(DATA)
    proxy = bed.proxy("image")
    proxy.fault("slow", "GET", FILE, rate=2 * MIB)
    bed.write_clouds()
    child = bed.start(bed.program, "fetch", *options_of(bed), image)

    def present() -> int:
        return sum(data.stat().st_size for data in (bed.cache / "partial").glob("*/data"))
    bed.wait_for(lambda: present() >= MIB, 30, "the first MiB")
    child.kill()
    child.wait()
    there = present()
    bed.glancefs("fetch", *options_of(bed), image)
    equal([line.range for line in proxy.lines("GET", FILE)], ["", f"bytes={there}-"],
          "what was asked for")
    bed.mount()
    bed.reads(image, DATA)
    equal(proxy.count("GET", FILE), 2, "downloads")


@test
def a_fetch_that_is_cut_goes_on_where_it_was_cut(bed):
    image = bed.image(DATA)
    proxy = bed.proxy("image")
    proxy.fault("drop", "GET", FILE, at=3 * MIB)
    bed.glancefs("fetch", *options_of(bed), image, env=quick_limits())
    equal([line.range for line in proxy.lines("GET", FILE)], ["", f"bytes={3 * MIB}-"],
          "what was asked for")


@test
def bytes_that_are_not_glances_are_not_kept(bed):
    image = bed.image(DATA)
    proxy = bed.proxy("image")
    proxy.fault("flip", "GET", FILE, times=None)
    answer = bed.glancefs("fetch", *options_of(bed), image, code=5, env=quick_limits())
    check(image.encode() in answer.stderr, f"it says {answer.stderr!r}")
    equal(cached_images(bed), set(), "what is in the cache")


@test
def prune_removes_what_glance_has_not_any_more(bed):
    images = [bed.image(DATA[:100 * KIB]) for _ in range(3)]
    bed.glancefs("fetch", *options_of(bed), *images)
    bed.cloud.remove(images[1])
    found = prune(bed)
    equal((found["asked"], found["gone_images"], found["removed_objects"]), (True, 1, 1), "the answer")
    equal(cached_images(bed), {images[0], images[2]}, "what is in the cache")


@test
def prune_believes_only_glance_that_an_image_is_gone(bed):
    image = bed.image(DATA[:100 * KIB])
    proxy = bed.proxy("image")  # from the beginning: another address would be another cloud
    bed.glancefs("fetch", *options_of(bed), image)
    for fault, options in (("status", {"code": 404, "body": PAGE}), ("status", {"code": 503}),
                           ("login_page", {}), ("garbage", {})):
        proxy.clear()
        told = proxy.fault(fault, "GET", RECORD, times=None, **options)
        found = prune(bed, code=None)
        check(told.used, f"{fault} was not met")
        equal((found["asked"], found["removed_objects"]), (False, 0), f"prune after {fault}")
        check(found["error"], f"nothing is said of {fault}")
    proxy.clear()
    equal(cached_images(bed), {image}, "what is in the cache")
    proxy.go_down()
    found = prune(bed)
    equal((found["asked"], found["removed_objects"]), (False, 0), "prune while nobody answers")
    equal(cached_images(bed), {image}, "what is in the cache afterwards")
