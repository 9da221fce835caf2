# SPDX-License-Identifier: Apache-2.0
"""contrib/doc/status.md lists what status and .metrics hold: all of it, with its type, and nothing else."""
import json
import re
from pathlib import Path
from typing import Dict, Iterator, Tuple

from prometheus_client.openmetrics.parser import text_string_to_metric_families as families

import write_bed
from bed import Failure, check, equal
from messages import MIB, plaintext
from registry import test

PAGE = Path(__file__).resolve().parents[2] / "contrib/doc/status.md"
DATA = plaintext(3 * MIB + 5, seed=13)

MEMBER = re.compile(r"^\| `([a-z_.\[\]]+)` \| ((?:string|integer|boolean|object|array)(?: or null)?) \|", re.M)
METRIC = re.compile(r"^\| `(glancefs_[a-z_]+)` \| (counter|gauge) \| ([a-z, ]*)\|", re.M)
TYPES = {str: "string", int: "integer", bool: "boolean", dict: "object", list: "array", type(None): "null"}


def members_of(value: object, path: str = "") -> Iterator[Tuple[str, str]]:
    """Each member as the page calls it, with its type."""
    if path:
        yield path, TYPES.get(type(value), type(value).__name__)
    if isinstance(value, dict):
        for name, member in value.items():
            yield from members_of(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for element in value:
            yield from members_of(element, f"{path}[]")


def documented_members(page: str) -> Dict[str, set]:
    return {name: set(types.split(" or ")) for name, types in MEMBER.findall(page)}


def check_members(status: dict, documented: Dict[str, set]) -> None:
    served = set(members_of(status))
    equal({name for name, _ in served} - set(documented), set(), "members that are not documented")
    equal(set(documented) - {name for name, _ in served}, set(), "members that are not served")
    for name, found in sorted(served):
        check(found in documented[name], f"{name} is {found}, not {documented[name]}")


def busy_mount(bed) -> dict:
    """A mount with a stream, a download, a verification and an upload; its status."""
    good, waiting, written = bed.image(DATA), bed.image(DATA), write_bed.queued(bed)
    bed.cloud.write_record(waiting, {**bed.cloud.record(waiting), "glancefs_test_stop_at": MIB})
    bed.mount("-o", "max_size=1G")
    write_bed.part_of(bed, written).write_bytes(DATA)
    bed.start("cat", bed.view(waiting))

    def status():
        return json.loads((bed.mount_point / "status").read_text())

    with open(bed.view(good), "rb"):
        bed.wait_for(lambda: status()["cache"]["downloads"] and status()["verifications"], 20,
                     "the download to begin")
        return status()


@test
def the_page_lists_every_member_of_status(bed):
    status = busy_mount(bed)
    documented = documented_members(PAGE.read_text())
    check(len(documented) > 60, f"the page lists only {len(documented)} members")
    check_members(status, documented)


@test
def the_comparison_with_the_page_sees_a_difference(bed):
    bed.mount()
    documented = {"a": {"string"}, "b": {"array"}, "b[]": {"object"}, "b[].c": {"integer", "null"}}
    check_members({"a": "", "b": [{"c": 1}, {"c": None}]}, documented)
    for wrong in ({"a": "", "b": [{"c": 1, "d": 1}]}, {"a": "", "b": []}, {"a": 1, "b": [{"c": 1}]},
                  {"a": "", "b": [{"c": True}]}):
        try:
            check_members(wrong, documented)
        except Failure:
            continue
        check(False, f"nothing is wrong with {wrong}")


@test
def the_page_lists_every_metric(bed):
    busy_mount(bed)
    served = {family.name: (family.type, {label for sample in family.samples for label in sample.labels})
              for family in families((bed.mount_point / ".metrics").read_text())}
    listed = {name: (kind, {label for label in labels.replace(" ", "").split(",") if label})
              for name, kind, labels in METRIC.findall(PAGE.read_text())}
    equal(served, listed, "the metrics that are served, against the page")


@test
def the_page_tells_the_labels_stages_and_states_there_are(bed):
    bed.mount()
    page = PAGE.read_text()
    for family in families((bed.mount_point / ".metrics").read_text()):
        for sample in family.samples:
            for label in ("stage", "state"):
                value = sample.labels.get(label)
                check(value is None or f"`{value}`" in page, f"{label} {value} is not documented")


@test
def the_command_to_label_a_mount_makes_valid_metrics(bed):
    bed.mount()
    command = re.search(r"^    (sed -E .*) /srv/images/\.metrics$", PAGE.read_text(), re.M)[1]
    text = bed.run("sh", "-c", f"{command} '{bed.mount_point}/.metrics'").stdout.decode()
    for family in families(text):
        for sample in family.samples:
            equal(sample.labels.get("mount"), "images", f"the label of {sample.name}")
