# SPDX-License-Identifier: Apache-2.0
"""Whoever waits keeps nobody else waiting: stat beside 40 readers that are stalled, by one
thing after the other, and an image service that hangs."""
import os
import subprocess
import time
from typing import List

from bed import check, equal, same_bytes
from messages import KIB, MIB, plaintext
from registry import add, test_with
from write_bed import set_record, set_secret

READERS = 40
STALLED_IMAGES = 4
STATS = 400
LIMIT_MS = 20
HANGS_MS = 3_600_000
DATA = plaintext(2 * MIB, seed=91)


# --- stat beside stalled readers ---

def p99_of_stat_ms(views) -> float:
    times = []
    for turn in range(STATS):
        begin = time.perf_counter()
        os.stat(views[turn % len(views)])
        times.append(1000 * (time.perf_counter() - begin))
    return sorted(times)[STATS * 99 // 100 - 1]


def stalled_readers(bed, images) -> List[subprocess.Popen]:
    readers = [bed.start("cat", bed.view(images[turn % len(images)])) for turn in range(READERS)]
    time.sleep(bed.seconds(0.5))
    equal([reader.poll() for reader in readers], [None] * READERS, "how the readers ended")
    return readers


def by_the_image_service(bed, images):
    for image in images:
        set_record(bed, image, glancefs_test_delay_ms=HANGS_MS)
    return stalled_readers(bed, images)


def by_a_download(bed, images):
    for image in images:
        set_record(bed, image, glancefs_test_stop_at=100 * KIB)
    return stalled_readers(bed, images)


def by_the_key_manager(bed, images):
    for image in images:
        set_secret(bed, bed.cloud.record(image)["os_encrypt_key_id"],
                   glancefs_test_delay_ms=HANGS_MS)
    return stalled_readers(bed, images)


def by_nobody_who_reads(bed, images):
    """They read a bit into a pipe that nobody empties."""
    return [bed.start("cat", bed.view(images[turn % len(images)]), stdout=subprocess.PIPE)
            for turn in range(READERS)]


def stalled(stall, *options):
    def run(bed):
        images = [bed.image(DATA[:-turn - 1]) for turn in range(STALLED_IMAGES)]
        others = [bed.image(DATA[:-turn - 9]) for turn in range(4)]
        bed.mount(*[word for option in options for word in ("-o", option)])
        views = [bed.view(image) for image in others]
        for view in views:
            os.stat(view)
        before = p99_of_stat_ms(views)
        for image in images:
            os.stat(bed.view(image))
        stall(bed, images)
        beside = p99_of_stat_ms(views)
        print(f"stat p99: {before:.2f} ms alone, {beside:.2f} ms beside {READERS} stalled readers")
        limit = bed.seconds(max(LIMIT_MS, 4 * before))
        check(beside <= limit, f"stat p99 is {beside:.2f} ms, the limit {limit:.2f} ms")
        if stall is not by_the_image_service:
            same_bytes(bed.run("cat", views[0]).stdout, DATA[:-9], "another image")
        for reader in bed.children:
            reader.kill()
            reader.wait()
    return run


STALLS = {"the_image_service": by_the_image_service, "a_download": by_a_download,
          "the_key_manager": by_the_key_manager, "not_reading_on": by_nobody_who_reads}
for name, cause in STALLS.items():
    add(f"readers_stalled_by_{name}_delay_no_stat", stalled(cause), alone=True)
    add(f"arriving_readers_stalled_by_{name}_delay_no_stat", stalled(cause, "verify=stream"),
        alone=True)


# --- an image service that hangs ---

@test_with(alone=True)
def names_that_are_remembered_are_shown_while_the_image_service_hangs(bed):
    """Each is asked for in the background; the first late answer is waited for a moment only."""
    images = [bed.image(DATA[:turn + 1]) for turn in range(20)]
    bed.mount("-o", "record_ttl=1")
    for image in images:
        os.stat(bed.view(image))
    for image in images:
        set_record(bed, image, glancefs_test_delay_ms=HANGS_MS)
    time.sleep(2)
    begin = time.monotonic()
    sizes = [os.stat(bed.view(image)).st_size for image in images]
    seconds = time.monotonic() - begin
    print(f"{len(images)} names of a service that hangs: {1000 * seconds:.0f} ms")
    equal(sizes, [turn + 1 for turn in range(20)], "the sizes")
    check(seconds < bed.seconds(2), f"it took {seconds:.2f} s")
    for image in images:
        set_record(bed, image, glancefs_test_delay_ms=None)


@test_with(alone=True)
def what_changed_is_shown_once_the_image_service_answers_again(bed):
    images = [bed.image(DATA[:turn + 1], declared=False) for turn in range(2)]
    bed.mount("-o", "record_ttl=0")
    views = [bed.view(image) for image in images]
    for view in views:
        os.stat(view)
    set_record(bed, images[0], glancefs_test_delay_ms=1500)
    os.stat(views[0])
    set_record(bed, images[1], os_decrypt_size="7777")
    bed.wait_for(lambda: os.stat(views[1]).st_size == 7777, 10, "the size to be the new one")


# --- a listing that hangs ---

def listing_ms(bed) -> float:
    begin = time.monotonic()
    bed.listed = sorted(os.listdir(bed.mount_point / "decrypt"))
    return 1000 * (time.monotonic() - begin)


@test_with(alone=True)
def a_directory_is_listed_from_memory_while_the_image_service_hangs(bed):
    """The first listing waits for a moment, those after it not at all; each asks for a new one."""
    images = sorted(bed.image(DATA[:turn + 1]) for turn in range(3))
    bed.mount()
    listing_ms(bed)
    set_record(bed, images[0], glancefs_test_list_delay_ms=2500)
    added = bed.image(DATA[:9])
    first = listing_ms(bed)
    equal(bed.listed, images, "the listing while the service hangs")
    later = max(listing_ms(bed) for _ in range(30))
    equal(bed.listed, images, "a later listing")
    print(f"a listing of a service that hangs: {first:.0f} ms, then {later:.1f} ms")
    check(first <= bed.seconds(250), f"the first listing took {first:.0f} ms")
    check(later <= bed.seconds(LIMIT_MS), f"a later listing took {later:.1f} ms")
    set_record(bed, images[0], glancefs_test_list_delay_ms=None)
    bed.wait_for(lambda: listing_ms(bed) and added in bed.listed, 10, "the new image to be listed")


@test_with(alone=True)
def a_first_listing_that_hangs_holds_up_no_other_directory(bed):
    image = bed.image(DATA[:5])
    other = bed.image(DATA[:6])
    bed.mount()
    os.stat(bed.view(other))
    set_record(bed, image, glancefs_test_list_delay_ms=HANGS_MS)
    listers = [bed.start("ls", bed.mount_point / "decrypt") for _ in range(READERS)]
    time.sleep(bed.seconds(0.3))
    equal([lister.poll() for lister in listers], [None] * READERS, "how the listings ended")
    begin = time.monotonic()
    os.listdir(bed.mount_point)
    same_bytes(bed.run("cat", bed.view(other)).stdout, DATA[:6], "another image")
    seconds = time.monotonic() - begin
    print(f"another directory and a file beside {READERS} listings that hang: {1000 * seconds:.0f} ms")
    check(seconds <= bed.seconds(1), f"they took {seconds:.2f} s")
    for lister in listers:
        lister.kill()
        lister.wait()
