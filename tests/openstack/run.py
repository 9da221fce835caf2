#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests against real OpenStack services: run.py --glancefs PROGRAM [--quick] [--only NAME] [--jobs N] [--stack DIR].

Starts Keystone, Barbican and Glance once (cloud.sh), runs each test with a mount of its own, and takes
everything down again. `--stack` uses, and leaves, services that `cloud.sh start DIR` has brought up.
"""
import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "mount")]
sys.dont_write_bytecode = True

from cloud_bed import CloudBed  # noqa: E402
from messages import Gpg  # noqa: E402
from registry import TESTS  # noqa: E402
from runner import Plan, chosen_tests, load_tests, parse_arguments, run_tests, slowness  # noqa: E402


# One or two of each kind, for builds that are slow.
QUICK = (
    "an_image_of_openstackclient_is_copied_out_of_the_mount",
    "a_snapshot_written_into_the_mount_is_downloaded_and_opened_by_gpg",
    "the_command_upload_makes_key_and_image",
    "an_application_credential_of_clouds_yaml_is_used",
    "a_wrong_password_is_refused_at_start",
    "a_region_that_is_not_in_the_catalog_is_refused_at_start",
    "the_overview_tells_the_state_of_keys_and_of_the_cache",
    "a_reader_is_a_consumer_only_when_asked_to_be",
    "many_images_are_read_at_once",
    "an_image_of_many_megabytes_goes_both_ways",
    "our_ciphertext_and_key_id_registered_by_another_tenant_give_nothing",
    "a_list_of_readers_decides_about_a_key",
    "as_image_data_a_flipped_bit_is_never_believed",
    "as_image_data_an_early_close_without_a_length_is_never_believed",
    "as_image_data_an_answer_inside_of_an_answer_is_never_believed",
    "as_image_data_what_is_not_http_is_never_believed",
    "as_image_data_too_many_headers_is_never_believed",
    "in_answer_to_a_range_all_of_it_is_never_believed",
    "a_download_that_was_cut_is_resumed_where_it_ended",
    "a_record_nested_too_deep_is_never_believed",
    "a_record_of_four_megabytes_is_never_believed",
    "a_key_of_a_megabyte_is_never_believed",
    "a_key_that_is_a_login_page_is_never_believed",
    "at_login_a_cut_catalog_is_never_believed",
    "at_login_a_token_with_control_characters_is_never_believed",
    "a_401_for_image_data_leads_to_one_login_and_one_repetition",
    "many_readers_with_a_refused_token_share_one_login",
    "a_service_that_fails_once_is_asked_again",
    "a_stall_before_the_data_ends_in_time",
    "a_signal_ends_the_wait_for_a_key",
    "a_service_that_hangs_keeps_nobody_from_unmounting",
    "an_upload_meets_a_lost_answer_and_is_stored_once",
    "an_upload_meets_a_connection_that_is_reset_midway_and_is_stored_once",
    "the_command_upload_whose_create_is_lost_makes_one_image",
    "an_upload_signed_with_rsa_is_verified_by_the_image_service",
    "a_wrong_signature_is_refused",
    "a_required_signature_by_a_trusted_signer_is_accepted",
    "a_certificate_of_the_right_authority_is_accepted",
    "an_expired_certificate_is_refused",
)


def cloud(command: str, directory: Path) -> None:
    subprocess.run([str(HERE / "cloud.sh"), command, str(directory)], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def main() -> int:
    parser = argparse.ArgumentParser(description="Tests of glancefs against real OpenStack services.")
    parser.add_argument("--stack", type=Path, metavar="DIR", help="services that run already")
    parser.add_argument("--quick", action="store_true", help="a few tests of each kind")
    arguments = parse_arguments(parser)
    load_tests(HERE)
    names = chosen_tests(arguments)
    if arguments.quick:
        unknown = set(QUICK) - set(TESTS)
        if unknown:
            sys.exit(f"run.py: no such tests: {unknown}")
        names = [name for name in names if name in QUICK]
    if arguments.list:
        print("\n".join(names))
        return 0
    run_directory = Path(tempfile.mkdtemp(prefix="glancefs-openstack-"))
    stack = arguments.stack.resolve() if arguments.stack else run_directory / "cloud"
    os.environ["OPENSTACK_STACK"] = str(stack)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        if not arguments.stack:
            cloud("start", stack)
        slow = slowness(arguments.glancefs)
        plan = Plan(arguments.glancefs, run_directory,
                    lambda directory: CloudBed(arguments.glancefs, directory, run_directory, slow))
        return run_tests(names, plan, arguments.jobs, arguments.durations)
    finally:
        if not arguments.stack:
            cloud("stop", stack)
        Gpg(run_directory).stop()
        shutil.rmtree(run_directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
