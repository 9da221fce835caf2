# SPDX-License-Identifier: Apache-2.0
"""MOUNT/.metrics: that both kinds of readers take the text, and that its numbers are right."""
import os
import re
from typing import Callable, Dict, Tuple

from prometheus_client.openmetrics.parser import text_string_to_metric_families as strict_families
from prometheus_client.parser import text_string_to_metric_families as plain_families

import write_bed
from bed import Failure, check, equal, mode_of, raises, same_bytes
from messages import MIB, plaintext
from registry import test

DATA = plaintext(3 * MIB + 700, seed=11)

HEAD = re.compile(r"# (TYPE|UNIT|HELP) (glancefs_[a-z_]+) (\S.*)")
SAMPLE = re.compile(r"(glancefs_[a-z_]+)(\{[a-z_]+=\"(?:[^\"\\\n]|\\[\\\"n])*\""
                    r"(?:,[a-z_]+=\"(?:[^\"\\\n]|\\[\\\"n])*\")*\})? ([0-9]+(?:\.[0-9]+)?)")

Numbers = Dict[Tuple[str, Tuple[Tuple[str, str], ...]], float]


def text_of(bed) -> str:
    return (bed.mount_point / ".metrics").read_text()


def numbers_in(text: str, families: Callable) -> Numbers:
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families(text) for sample in family.samples}


def numbers_of(bed) -> Numbers:
    return numbers_in(text_of(bed), strict_families)


def number(bed, name: str, **labels: str) -> float:
    return numbers_of(bed)[f"glancefs_{name}", tuple(sorted(labels.items()))]


def check_lines(text: str) -> None:
    """What neither parser insists on: heads in order before their samples, each family once, no time
    stamps, none but the two types that every reader knows, a unit only where the name ends with it."""
    check(text.endswith("\n# EOF\n"), f"the text ends with {text[-20:]!r}")
    family, kind, seen, order = "", "", set(), []
    for line in text.splitlines()[:-1]:
        head, sample = HEAD.fullmatch(line), SAMPLE.fullmatch(line)
        check(head or sample, f"a line is neither head nor sample: {line!r}")
        if head and head[1] == "TYPE":
            check(head[2] not in seen, f"{head[2]} comes twice")
            seen.add(head[2])
            check(head[3] in ("counter", "gauge"), f"a type that not all know: {line}")
            family, kind, order = head[2], head[3], ["TYPE"]
        elif head:
            equal(head[2], family, "the family of a head")
            check(head[1] not in order and "sample" not in order, f"out of order: {line}")
            check(head[1] != "UNIT" or family.endswith("_" + head[3]), f"another unit: {line}")
            order.append(head[1])
        else:
            check("HELP" in order, f"a sample without help: {line}")
            equal(sample[1], family + ("_total" if kind == "counter" else ""), "a sample's name")
            order.append("sample")


@test
def both_kinds_of_parsers_take_the_metrics(bed):
    image = bed.image(DATA)
    bed.mount()
    bed.view(image).read_bytes()
    text = text_of(bed)
    check_lines(text)
    strict, plain = numbers_in(text, strict_families), numbers_in(text, plain_families)
    equal(plain, strict, "what the older format's parser sees")
    check(len(strict) > 40, f"there are only {len(strict)} samples")


@test
def the_checker_of_metrics_sees_what_is_wrong(bed):
    bed.mount()
    good = text_of(bed)
    for old, new in (("# EOF\n", ""), ("# TYPE glancefs_opens counter\n", ""),
                     ("glancefs_opens_total 0", "glancefs_opens 0"),
                     ("glancefs_opens_total 0", "glancefs_opens_total 0 1700000000"),
                     ("glancefs_opens_total 0", "glancefs_opens_total -"),
                     ("# UNIT glancefs_read_bytes bytes", "# UNIT glancefs_read_bytes seconds"),
                     ("# TYPE glancefs_opens counter", "# TYPE glancefs_opens stateset")):
        check(old in good, f"there is no {old!r}")
        try:
            check_lines(good.replace(old, new))
        except Failure:
            continue
        check(False, f"{new!r} instead of {old!r} was not seen")


@test
def metrics_count_what_readers_do(bed):
    image = bed.image(DATA)
    bed.mount()
    for name in ("opens", "cache_hits", "cache_misses", "reads", "read_bytes"):
        equal(number(bed, f"{name}_total"), 0, name)
    same_bytes(bed.view(image).read_bytes(), DATA, "the image")
    stored = len(bed.cloud.data(image).read_bytes())
    equal(number(bed, "opens_total"), 1, "opens")
    equal(number(bed, "cache_misses_total"), 1, "misses")
    equal(number(bed, "read_bytes_total"), len(DATA), "bytes read")
    for stage, size in (("download", stored), ("verify", stored), ("decrypt", len(DATA))):
        equal(number(bed, "stage_bytes_total", stage=stage), size, f"bytes of {stage}")
        check(number(bed, "stage_seconds_total", stage=stage) > 0, f"no time went into {stage}")
    with open(bed.view(image), "rb"):
        equal(number(bed, "open_streams"), 1, "open streams")
    equal(number(bed, "open_streams"), 0, "open streams")
    equal(number(bed, "cache_hits_total"), 1, "hits")
    equal(number(bed, "cache_objects", state="complete"), 1, "complete objects")
    equal(number(bed, "cache_bytes", state="complete"), stored, "their bytes")
    check(number(bed, "locked_memory_peak_bytes") > 0, "no memory was locked")


@test
def metrics_count_failed_verifications(bed):
    image = bed.image(DATA)
    data = bytearray(bed.cloud.data(image).read_bytes())
    data[len(data) // 2] ^= 1
    bed.cloud.data(image).write_bytes(data)
    bed.mount()
    raises(74, lambda: os.open(bed.view(image), os.O_RDONLY), "open of a damaged image")
    equal(number(bed, "failed_verifications_total"), 1, "failed verifications")
    equal(number(bed, "failed_opens_total"), 1, "failed opens")


@test
def metrics_count_what_writers_do(bed):
    image = write_bed.mounted(bed)
    part = write_bed.part_of(bed, image)
    part.write_bytes(DATA)
    equal(number(bed, "uploads", state="staging"), 1, "files that are written")
    os.rename(part, write_bed.file_of(bed, image))
    write_bed.becomes_active(bed, image, DATA)
    write_bed.has_state(bed, write_bed.file_of(bed, image), "active")
    for state in ("staging", "poisoned", "sealed", "uploading", "failed"):
        equal(number(bed, "uploads", state=state), 0, f"uploads that are {state}")
    equal(number(bed, "stage_bytes_total", stage="encrypt"), len(DATA), "bytes encrypted")
    equal(number(bed, "stage_bytes_total", stage="upload"),
          len(bed.cloud.data(image).read_bytes()), "bytes sent")


@test
def the_metrics_are_hidden_and_as_private_as_status(bed):
    bed.mount("-o", "mode=0440")
    metrics = bed.mount_point / ".metrics"
    equal(mode_of(metrics), 0o440, "the mode")
    check(".metrics" not in os.listdir(bed.mount_point), "a listing shows it")
    check(metrics.stat().st_size > 1000, "it looks empty")
    raises(13, lambda: os.open(metrics, os.O_WRONLY), "open for writing")
    with open(metrics, encoding="utf-8") as frozen:
        frozen.read(1)
        before = frozen.read()
        check(before.endswith("# EOF\n"), "it is not whole")


@test
def a_label_cannot_break_out(bed):
    """The cloud's name is from the configuration."""
    odd = bed.tmp / 'a"b\\c'
    os.rename(bed.cloud.path, odd)
    bed.cloud.path, bed.cloud.name = odd, f"local:{odd}"
    bed.mount()
    check_lines(text_of(bed))
    labels = [dict(labels) for name, labels in numbers_of(bed) if name == "glancefs_build_info"]
    equal([found["cloud"] for found in labels], [f"local:{odd}"], "the label")
