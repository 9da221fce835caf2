# SPDX-License-Identifier: Apache-2.0
"""P17: a service, or what stands in front of it, that answers falsely: an error, or right bytes after a
second attempt, and never other bytes."""
import errno
import json
import threading
import time
import urllib.parse

from bed import check, equal, same_bytes
from cloud_bed import BOUND, SMALL_LIMITS, CloudBed
from fault_proxy import LOGIN_PAGE, FaultProxy
from messages import KIB, QUICK, UNCOMPRESSED, plaintext
from registry import add, test
from stack import PASSPHRASE, request

DATA = plaintext(300 * KIB + 5)
OTHER = plaintext(300 * KIB + 5, seed=2)
JSON = {"Content-Type": "application/json"}
FILE = "/file$"
RECORD = r"^/v2/images/[0-9a-f-]{36}$"
LIST = r"^/v2/images(\?|$)"
METADATA = r"^/v1/secrets/[0-9a-f-]{36}$"
PAYLOAD = "/payload$"
LOGIN = "/auth/tokens$"


def bounded(bed: CloudBed, image: str, data: bytes):
    """As right_or_refused, and not too late."""
    began = time.monotonic()
    found = bed.right_or_refused(image, data)
    seconds = time.monotonic() - began
    check(seconds < bed.seconds(BOUND), f"it took {seconds:.1f} s")
    return found


# --- lies about stored bytes: libcurl by itself believes them ---

SILENT_LIES = {
    "a_length_that_is_one_too_short": ("short_length", {}),
    "a_length_that_leaves_half_out": ("short_length", {"cut": 150 * KIB}),
    "an_early_close_without_a_length": ("no_length_cut", {}),
    "no_body_without_a_length": ("no_length_cut", {"at": 0}),
    "a_flipped_first_bit": ("flip", {"at": 0}),
    "a_flipped_bit": ("flip", {}),
    "a_flipped_last_bit": ("flip", {"at": -1}),
    "a_byte_too_many": ("append", {}),
    "many_bytes_too_many": ("append", {"count": 300 * KIB}),
    "zeros_in_the_middle": ("zeros", {}),
    "a_login_page_with_status_200": ("login_page", {}),
    "a_login_page_under_the_right_headers": ("other_body", {}),
    "an_empty_body": ("other_body", {"body": b""}),
    "status_204": ("status", {"code": 204}),
    "an_encoding_that_nobody_asked_for": ("gzipped", {}),
}

LOUD_LIES = {
    "a_connection_cut_at_the_first_byte": ("drop", {"at": 0}),
    "a_connection_cut_in_the_middle": ("drop", {}),
    "a_connection_reset_in_the_middle": ("reset", {}),
    "a_cut_chunk": ("chunked_cut", {}),
    "an_answer_inside_of_an_answer": ("next_answer_too_early", {}),
    "what_is_not_http": ("garbage", {}),
    "nothing_at_all": ("empty", {}),
    "a_reset_at_once": ("reset_at_once", {}),
    "too_many_headers": ("header_bomb", {}),
    "a_redirect_to_itself": ("redirect", {}),
    "status_206_that_nobody_asked_for": ("status", {"code": 206, "body": b"x" * 1000}),
    "status_416": ("status", {"code": 416}),
    "status_300": ("status", {"code": 300, "body": LOGIN_PAGE}),
}

# All bytes are there, and something else is wrong.
MALFORMED = {
    "a_length_that_is_too_long": ("long_length", {}),
    "two_lengths": ("two_lengths", {}),
    "a_bad_chunk_at_the_end": ("chunked_bad", {}),
}

HARMLESS = {
    "no_length_and_a_close_at_the_end": ("no_length", {}),
    "chunks": ("chunked", {}),
    "a_slow_answer": ("slow", {"rate": 300 * KIB}),
}


REFUSALS = (errno.EIO, errno.EBADMSG, errno.ETIMEDOUT, errno.EINVAL, errno.ENODATA, errno.EFBIG, errno.EACCES)


def lie_is_seen(fault: str, options: dict, outcomes=REFUSALS):
    def run(bed):
        once, always = bed.image(DATA), bed.image(DATA)
        proxy = bed.proxy("image")
        bed.mount("-o", SMALL_LIMITS)
        told = proxy.fault(fault, "GET", FILE, **options)
        bounded(bed, once, DATA)
        check(told.used, "the fault was not met")
        proxy.clear()
        told = proxy.fault(fault, "GET", FILE, times=None, **options)
        found = bounded(bed, always, DATA)
        check(told.used, "the fault was not met")
        check(found in outcomes, f"the lie, told for ever, ends with {errno.errorcode.get(found, found)}")
        proxy.clear()
        bed.reads(always, DATA)
        bed.reads(once, DATA)
    return run


def harmless(fault: str, options: dict):
    def run(bed):
        image = bed.image(DATA)
        told = bed.proxy("image").fault(fault, "GET", FILE, times=None, **options)
        bed.mount("-o", SMALL_LIMITS)
        bed.reads(image, DATA)
        check(told.used, "the fault was not met")
    return run


for name, (fault_name, fault_options) in {**SILENT_LIES, **LOUD_LIES}.items():
    add(f"as_image_data_{name}_is_never_believed", lie_is_seen(fault_name, fault_options))
for name, (fault_name, fault_options) in MALFORMED.items():
    add(f"as_image_data_{name}_is_refused_or_made_good",
        lie_is_seen(fault_name, fault_options, (None, *REFUSALS)))
for name, (fault_name, fault_options) in HARMLESS.items():
    add(f"image_data_in_{name}_is_read", harmless(fault_name, fault_options))


@test
def every_silent_lie_gets_past_who_does_not_check(bed):
    """Else the tests above prove nothing."""
    image = bed.image(DATA)
    stored = bed.cloud.download(image)
    proxy = bed.proxy("image")
    url = f"{proxy.url}/v2/images/{image}/file"
    for name, (fault, options) in SILENT_LIES.items():
        proxy.fault(fault, "GET", **options)
        answer = request("GET", url, headers={"X-Auth-Token": bed.cloud.token})
        check(answer.status in (200, 204) and answer.body != stored, f"{name} deceives nobody")
        proxy.clear()
    same_bytes(request("GET", url, headers={"X-Auth-Token": bed.cloud.token}).body, stored,
               "what the proxy relays")


# --- lies in answer to a Range: a download that was cut is resumed ---

RANGE_LIES = {
    "all_of_it": ("ignore_range", {}),
    "other_bytes": ("wrong_range", {}),
    "another_range": ("wrong_content_range", {}),
    "one_byte_less": ("short_length", {}),
    "a_flipped_bit": ("flip", {}),
    "a_login_page": ("login_page", {}),
    "status_204": ("status", {"code": 204}),
    "status_416": ("status", {"code": 416}),
    "status_206_without_a_range": ("header", {"header": "Content-Range"}),
}


def range_lie_is_seen(fault: str, options: dict):
    def run(bed):
        image, always = bed.image(DATA), bed.image(DATA)
        proxy = bed.proxy("image")
        bed.mount("-o", SMALL_LIMITS)
        for one, times in ((image, 1), (always, None)):
            proxy.clear()
            proxy.fault("drop", "GET", FILE)
            told = proxy.fault(fault, "GET", FILE, times=times, **options)
            bounded(bed, one, DATA)
            check(told.used, "the fault was not met")
            lines = proxy.lines("GET", FILE)
            check(lines[1].range.startswith("bytes="), f"the download was not resumed: {lines}")
        proxy.clear()
        bed.reads(always, DATA)
    return run


for name, (fault_name, fault_options) in RANGE_LIES.items():
    add(f"in_answer_to_a_range_{name}_is_never_believed", range_lie_is_seen(fault_name, fault_options))


@test
def a_download_that_was_cut_is_resumed_where_it_ended(bed):
    image = bed.image(DATA)
    proxy = bed.proxy("image")
    bed.mount("-o", SMALL_LIMITS)
    proxy.fault("drop", "GET", FILE, at=200 * KIB)
    bed.reads(image, DATA)
    equal([line.range for line in proxy.lines("GET", FILE)], ["", f"bytes={200 * KIB}-"], "what was asked for")


@test
def an_image_that_changed_while_its_download_was_cut_is_not_patched_together(bed):
    """The second half would be of other bytes: another region's image of the same id takes its place."""
    image = bed.image(DATA, container_format="bare")
    second = bed.stack.api("demo", "glance2")
    stored = bed.gpg.encrypt(OTHER, PASSPHRASE, *QUICK, *UNCOMPRESSED)
    second.add_image(stored, bed.cloud.record(image)["os_encrypt_key_id"], container_format="bare", id=image)
    second_upstream = urllib.parse.urlsplit(bed.stack.url("glance2"))
    proxy = bed.proxy("image")
    bed.mount("-o", SMALL_LIMITS)
    proxy.fault("drop", "GET", FILE)

    def move() -> None:
        bed.wait_for(lambda: proxy.count("GET", FILE) > 0, 10, "the first part")
        proxy.upstream = second_upstream

    mover = threading.Thread(target=move)
    mover.start()
    try:
        check(bed.read(image) in (DATA, OTHER), "a mixture was read")
    except OSError:
        pass
    mover.join()


# --- lies about records, keys and tokens ---

def record_lie(**options: object):
    return lambda bed, image: bed.proxy("image").fault(method="GET", path=RECORD, times=None, **options)


def altered_record(**changes: object):
    """The record of the image with some fields otherwise; None takes one away."""
    def tell(bed, image):
        record = {**bed.cloud.record(image), **changes}
        body = json.dumps({name: value for name, value in record.items() if value is not None})
        return bed.proxy("image").fault("status", "GET", RECORD, times=None, code=200, body=body.encode(),
                                        headers=JSON)
    return tell


def key_lie(path: str, **options: object):
    return lambda bed, image: bed.proxy("key-manager").fault(method="GET", path=path, times=None, **options)


def body(text: bytes) -> dict:
    return {"name": "status", "code": 200, "body": text, "headers": JSON}


SERVICE_LIES = {
    "a_record_that_is_a_login_page": record_lie(name="login_page"),
    "a_record_that_is_empty": record_lie(name="status", code=204),
    "a_record_that_is_cut": record_lie(name="short_length", cut=100),
    "a_record_that_is_a_list": record_lie(**body(b"[]")),
    "a_record_nested_too_deep": record_lie(**body(b'{"a":' * 100000)),
    "a_record_of_four_megabytes": record_lie(**body(b'{"a":"' + b"b" * (4 << 20) + b'"}')),
    "a_record_that_breaks_off": record_lie(name="drop", at=50),
    "a_record_in_an_encoding": record_lie(name="gzipped"),
    "a_record_with_another_hash": altered_record(os_hash_value="0" * 128),
    "a_record_with_no_hash": altered_record(os_hash_value=None, os_hash_algo=None),
    "a_record_with_a_hash_that_does_not_suffice": altered_record(os_hash_value="0" * 32, os_hash_algo="md5"),
    "a_record_with_another_size": altered_record(size=1000),
    "a_record_with_a_huge_size": altered_record(size=1 << 62),
    "a_record_with_a_negative_size": altered_record(size=-1),
    "a_record_with_another_plaintext_size": altered_record(os_decrypt_size="1000"),
    "a_record_of_another_image": altered_record(id="6e7f3c4e-8c3e-4c46-9a41-000000000000"),
    "a_key_that_is_a_login_page": key_lie(PAYLOAD, name="login_page"),
    "a_key_that_is_a_login_page_under_the_right_headers": key_lie(PAYLOAD, name="other_body"),
    "a_key_that_is_empty": key_lie(PAYLOAD, name="other_body", body=b""),
    "a_key_with_status_204": key_lie(PAYLOAD, name="status", code=204),
    "a_key_that_is_cut": key_lie(PAYLOAD, name="short_length"),
    "a_key_with_a_byte_too_many": key_lie(PAYLOAD, name="append"),
    "a_key_with_a_flipped_bit": key_lie(PAYLOAD, name="flip"),
    "a_key_of_a_megabyte": key_lie(PAYLOAD, name="append", count=1 << 20),
    "a_key_in_an_encoding": key_lie(PAYLOAD, name="gzipped"),
    "metadata_that_is_a_login_page": key_lie(METADATA, name="login_page"),
    "metadata_that_is_cut": key_lie(METADATA, name="short_length", cut=30),
    "metadata_with_status_204": key_lie(METADATA, name="status", code=204),
    "metadata_of_another_type": key_lie(METADATA, **body(
        b'{"status": "ACTIVE", "secret_type": "symmetric", "content_types": {"default": "a/b"}}')),
}


def service_lie_is_seen(tell):
    def run(bed):
        image = bed.image(DATA)
        told = tell(bed, image)
        bed.mount("-o", SMALL_LIMITS)
        found = bounded(bed, image, DATA)
        check(told.used, "the fault was not met")
        check(found is not None, "the lie was believed, or not noticed")
        for proxy in bed.proxies.values():
            proxy.clear()
        # A record is remembered for a while, for look-ups only.
        bed.wait_for(lambda: bed.right_or_refused(image, DATA) is None, 10, "the truth to be seen")
    return run


for name, tell_lie in SERVICE_LIES.items():
    add(f"{name}_is_never_believed", service_lie_is_seen(tell_lie))


IDENTITY_LIES = {
    "a_login_page": ("login_page", {}),
    "a_login_page_with_status_201": ("status", {"code": 201, "body": LOGIN_PAGE}),
    "no_token": ("header", {"header": "X-Subject-Token"}),
    "a_token_with_control_characters": ("header", {"header": "X-Subject-Token", "value": "a\tb\x01c"}),
    "status_204": ("status", {"code": 204}),
    "a_cut_catalog": ("short_length", {"cut": 200}),
    "a_catalog_of_nothing": ("status", {"code": 201, "body": b'{"token": {"catalog": []}}',
                                        "headers": {"X-Subject-Token": "abc", **JSON}}),
    "a_redirect_to_itself": ("redirect", {}),
    "nothing": ("empty", {}),
    "what_is_not_http": ("garbage", {}),
}


def identity_lie_is_seen(fault: str, options: dict):
    def run(bed):
        told = bed.proxy("identity").fault(fault, "POST", LOGIN, times=None, **options)
        began = time.monotonic()
        answer = bed.glancefs("mount", "-o", SMALL_LIMITS, *bed.mount_command()[2:], code=None, limit=40)
        check(told.used, "the fault was not met")
        check(answer.returncode in (1, 2, 4, 7), f"exit code {answer.returncode}: {answer.stderr!r}")
        equal(len(answer.stderr.splitlines()), 1, "lines that tell the failure")
        check(time.monotonic() - began < bed.seconds(BOUND), "it took too long")
    return run


for name, (fault_name, fault_options) in IDENTITY_LIES.items():
    add(f"at_login_{name}_is_never_believed", identity_lie_is_seen(fault_name, fault_options))


# --- where tokens go ---

@test
def a_token_follows_no_redirect_to_another_address(bed):
    image = bed.image(DATA)
    thief = FaultProxy(bed.stack.url("glance"))
    proxy = bed.proxy("image")
    for code in (301, 302, 307, 308):
        proxy.fault("redirect", "GET", FILE, code=code, times=1, to=f"{thief.url}/v2/images/{image}/file")
    bed.mount("-o", SMALL_LIMITS)
    while proxy.count("GET", FILE) < 4:
        bounded(bed, image, DATA)
    equal([line.token for line in thief.log if line.token], [], "tokens that went elsewhere")


@test
def a_token_goes_to_no_address_that_a_list_names(bed):
    thief = FaultProxy(bed.stack.url("glance"))
    page = json.dumps({"images": [], "next": f"{thief.url}/v2/images?marker=x"}).encode()
    bed.proxy("image").fault("status", "GET", LIST, code=200, body=page, headers=JSON)
    bed.glancefs("images", "list", "--cloud", bed.cloud.name, code=None)
    equal(thief.log, [], "requests that went elsewhere")
