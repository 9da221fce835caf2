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
