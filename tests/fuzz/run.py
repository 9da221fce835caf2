#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the fuzz targets: each on its seeds and on, each input once more with a failing allocation.

    tests/fuzz/run.py --build build/fuzz                    some seconds, as CI does
    tests/fuzz/run.py --build build/fuzz --seconds 60 --keep --coverage

A target starts from the seeds that people named (seeds/TARGET), the vectors of its kind and what earlier
runs found (corpus/TARGET), and mixes in the words of dictionaries/TARGET.dict. An input that ends a
target is left in BUILD/fuzz-finds; it becomes a named vector together with its repair. --keep replaces
the corpus by the least that covers the same code.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CORPUS = HERE / "corpus"
NAMED_SEEDS = HERE / "seeds"
DICTIONARIES = HERE / "dictionaries"
VECTORS = ROOT / "tests" / "vectors"
# Vectors that serve as seeds, too.
VECTORS_OF = {
    "fuzz_certificate": ("signatures",),
    "fuzz_clouds_yaml": ("clouds_yaml",),
    "fuzz_image_record": ("image_records",),
    "fuzz_json_document": ("image_records", "keystone", "upload_journals"),
    "fuzz_message": ("openpgp", "openpgp/published"),
    "fuzz_object_metadata": ("object_metadata",),
    "fuzz_upload_journal": ("upload_journals",),
}
# What each target is there for, below src.
PARSERS = {
    "fuzz_aead": ("codec/openpgp/aead_stream.c", "codec/openpgp/aead_chunks.c", "codec/openpgp/aead_header.c"),
    "fuzz_altered_message": ("codec/openpgp/openpgp_stream.c", "codec/openpgp/seipd_v1.c"),
    "fuzz_armor": ("codec/openpgp/armor.c",),
    "fuzz_barbican": ("services/openstack/barbican.c", "services/secret_metadata.c",
                      "services/openstack/service_refusal.c", "services/openstack/openstack_session.c"),
    "fuzz_cache_format": ("cache/cache_layout.c",),
    "fuzz_certificate": ("crypto/certificate.c", "crypto/signature_key.c"),
    "fuzz_clouds_yaml": ("services/openstack/clouds_yaml_parser.c", "services/openstack/credentials.c"),
    "fuzz_config_file": ("base/config.c", "base/config_options.c"),
    "fuzz_consumer_entry": ("cache/consumer_registry.c",),
    "fuzz_environment": ("base/config.c", "services/openstack/credentials.c",
                         "services/openstack/token_request.c", "services/openstack/secret_json.c"),
    "fuzz_glance": ("services/openstack/glance_list.c", "services/openstack/glance_request.c",
                    "services/openstack/glance_download.c", "services/openstack/glance_upload.c"),
    "fuzz_http": ("services/openstack/http_response.c", "services/openstack/http_body.c",
                  "services/openstack/http_exchange.c", "services/openstack/http.c",
                  "services/openstack/http_retry.c"),
    "fuzz_http_head": ("services/openstack/http_response.c", "services/openstack/service_refusal.c"),
    "fuzz_http_url": ("services/openstack/http_url.c", "services/openstack/service_catalog.c"),
    "fuzz_image_record": ("services/image_record.c", "services/image_encryption.c"),
    "fuzz_image_signature": ("view/image_signature.c", "crypto/signature.c"),
    "fuzz_json_document": ("services/json_document.c",),
    "fuzz_keystone": ("services/openstack/keystone.c", "services/openstack/token.c",
                      "services/openstack/service_catalog.c"),
    "fuzz_message": ("codec/openpgp/encrypted_message.c", "codec/openpgp/esk_sequence.c",
                     "codec/openpgp/packet_body.c"),
    "fuzz_mount_options": ("base/config.c", "base/config_options.c"),
    "fuzz_object_metadata": ("cache/object_metadata.c",),
    "fuzz_outer_message": ("codec/gpgme/outer_message.c",),
    "fuzz_packet_header": ("codec/openpgp/packet_header.c",),
    "fuzz_packets": ("codec/openpgp/literal_message.c", "codec/openpgp/compressed.c",
                     "codec/openpgp/decompressor.c"),
    "fuzz_pkesk": ("codec/openpgp/pkesk.c",),
    "fuzz_skesk": ("codec/openpgp/skesk.c", "codec/openpgp/s2k.c"),
    "fuzz_text_values": ("crypto/encoding.c", "base/uuid.c", "services/iso_date.c"),
    "fuzz_upload_journal": ("cache/upload_journal.c",),
    "fuzz_written": ("codec/openpgp/openpgp_sink.c", "codec/openpgp/packet_writer.c",
                     "codec/openpgp/aead_reader.c"),
}
LARGEST_INPUT = 16384
LARGEST_KEPT = 4096
EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


def targets(build: pathlib.Path, only: str) -> list[pathlib.Path]:
    return [build / "tests" / "fuzz" / name for name in PARSERS if only in name]


def seeds(name: str) -> list[str]:
    folders = [NAMED_SEEDS / name, *(VECTORS / folder for folder in VECTORS_OF.get(name, ()))]
    return [str(folder) for folder in folders if folder.is_dir()]


def corpus(name: str) -> list[str]:
    return [str(CORPUS / name)] if (CORPUS / name).is_dir() else []


def dictionary(name: str) -> list[str]:
    path = DICTIONARIES / f"{name}.dict"
    return [f"-dict={path}"] if path.exists() else []


class Run:
    """The run of one target."""

    def __init__(self, target: pathlib.Path):
        self.target = target
        self.executions = 0
        self.passed = False

    def profile(self, profiles: pathlib.Path) -> pathlib.Path:
        return profiles / f"{self.target.name}.profraw"

    def environment(self, profiles: pathlib.Path) -> dict[str, str]:
        # What a target that ends early leaves behind goes with the rest.
        return dict(os.environ, LLVM_PROFILE_FILE=str(self.profile(profiles)), TMPDIR=str(profiles),
                    GLANCEFS_FUZZ_FAIL_ALLOCATIONS="1",
                    ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1",
                    UBSAN_OPTIONS="print_stacktrace=1")

    def go(self, seconds: int, finds: pathlib.Path, profiles: pathlib.Path, grown: pathlib.Path) -> None:
        grown.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        done = subprocess.run(
            [str(self.target), f"-max_total_time={seconds}", "-timeout=25", "-rss_limit_mb=2048",
             f"-max_len={LARGEST_INPUT}", "-print_final_stats=1", "-verbosity=0",
             f"-artifact_prefix={finds}/{self.target.name}-", *dictionary(self.target.name), str(grown),
             *corpus(self.target.name), *seeds(self.target.name)],
            env=self.environment(profiles), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        found = EXECUTIONS.search(done.stdout)
        self.executions = int(found.group(1)) if found else 0
        self.passed = done.returncode == 0 and self.executions > 0
        seconds_taken = time.monotonic() - started
        print(f"{'ok  ' if self.passed else 'FAIL'} {self.target.name}: {self.executions:,} inputs "
              f"in {seconds_taken:.0f} s", flush=True)
        if not self.passed:
            print("\n".join(done.stdout.splitlines()[-60:]), flush=True)


def keep(target: pathlib.Path, grown: pathlib.Path, profiles: pathlib.Path) -> None:
    """Reduces the corpus and what was found to the least that covers more than the seeds do."""
    folder = CORPUS / target.name
    with tempfile.TemporaryDirectory() as merged:
        known = set()
        for path in (path for seed in seeds(target.name) for path in pathlib.Path(seed).rglob("*")):
            if path.is_file():
                shutil.copy(path, merged)
                known.add(path.name)
        subprocess.run([str(target), "-set_cover_merge=1", "-timeout=25", f"-max_len={LARGEST_KEPT}", merged,
                        *corpus(target.name), str(grown)],
                       env=dict(os.environ, LLVM_PROFILE_FILE=str(profiles / "merge.profraw")),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in sorted(pathlib.Path(merged).iterdir()):
            if path.name not in known:
                shutil.copy(path, folder / path.name[:16])


def line_coverage(programs: list[pathlib.Path], profiles: list[pathlib.Path]) -> dict[str, tuple[int, int]]:
    """Lines that ran and lines there are, of each source file below src."""
    with tempfile.NamedTemporaryFile(suffix=".profdata") as data:
        subprocess.run(["llvm-profdata", "merge", "-sparse", "-o", data.name, *map(str, profiles)], check=True)
        objects = [argument for program in programs[1:] for argument in ("-object", str(program))]
        exported = subprocess.run(["llvm-cov", "export", "-summary-only", str(programs[0]), *objects,
                                   f"-instr-profile={data.name}", str(ROOT / "src")],
                                  stdout=subprocess.PIPE, check=True).stdout
    files = json.loads(exported)["data"][0]["files"]
    return {os.path.relpath(file["filename"], ROOT / "src"):
            (file["summary"]["lines"]["covered"], file["summary"]["lines"]["count"]) for file in files}


def report_coverage(runs: list[Run], profiles: pathlib.Path) -> None:
    """The parsers of each target by its run alone, then every source by all runs together."""
    print(f"\n{'target':22} {'inputs':>11}  parser, lines that ran")
    for run in runs:
        covered = line_coverage([run.target], [run.profile(profiles)])
        for number, parser in enumerate(PARSERS[run.target.name]):
            name, inputs = (run.target.name, f"{run.executions:,}") if number == 0 else ("", "")
            ran, lines = covered.get(parser, (0, 0))
            print(f"{name:22} {inputs:>11}  {parser:42} {ran:4} of {lines:4}  {100 * ran / max(lines, 1):5.1f} %")
    print("\nsource, all targets together")
    together = line_coverage([run.target for run in runs], [run.profile(profiles) for run in runs])
    for source, (ran, lines) in sorted(together.items()):
        if ran > 0:
            print(f"{source:46} {ran:4} of {lines:4}  {100 * ran / lines:5.1f} %")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, type=pathlib.Path, help="build directory of the preset fuzz")
    parser.add_argument("--seconds", type=int, default=2, help="for each target (default 2)")
    parser.add_argument("--only", default="", help="targets whose name has this in it")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="add what covers more to the corpus")
    parser.add_argument("--coverage", action="store_true", help="print the line coverage of each parser")
    options = parser.parse_args()
    build = options.build.resolve()
    finds = build / "fuzz-finds"
    finds.mkdir(exist_ok=True)
    programs = targets(build, options.only)
    with tempfile.TemporaryDirectory() as scratch:
        profiles = pathlib.Path(scratch, "profiles")
        profiles.mkdir()
        runs = [Run(program) for program in programs]
        with ThreadPoolExecutor(options.jobs) as pool:
            for run in runs:
                pool.submit(run.go, options.seconds, finds, profiles,
                            pathlib.Path(scratch, run.target.name))
        if options.keep:
            for program in programs:
                keep(program, pathlib.Path(scratch, program.name), profiles)
        if options.coverage:
            report_coverage(runs, profiles)
    passed = sum(run.passed for run in runs)
    print(f"{passed} passed, {len(runs) - passed} failed")
    return 0 if passed == len(runs) and runs else 1


if __name__ == "__main__":
    sys.exit(main())
