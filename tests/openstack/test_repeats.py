# SPDX-License-Identifier: Apache-2.0
"""P18: what is asked again, how often, and when. P22: nothing waits for ever, and a signal ends what waits."""
import errno
import os
import signal
import socket
import time
import urllib.parse

from bed import check, equal, raises, same_bytes
from cloud_bed import BOUND, SMALL_LIMITS, CloudBed
from messages import KIB, plaintext
from registry import add, test, test_with
from test_lies import FILE, LIST, LOGIN, METADATA, PAYLOAD, RECORD

DATA = plaintext(300 * KIB + 5)
TOKEN_SECONDS = 10


def logins(bed: CloudBed) -> int:
    return bed.proxy("identity").count("POST", LOGIN)


# --- tokens that are refused, revoked, or run out ---

def one_login_more(service: str, path: str):
    """A 401 midway: one login, one repetition, and the read goes on."""
    def run(bed):
        image = bed.image(DATA)
        bed.proxy("identity")
        proxy = bed.proxy(service)
        bed.mount("-o", SMALL_LIMITS)
        bed.view(image).stat()
        before = logins(bed)
        told = proxy.fault("status", "GET", path, code=401)
        bed.reads(image, DATA)
        check(told.used, "the fault was not met")
        equal(logins(bed) - before, 1, "logins after the 401")
        tokens = {line.token for line in proxy.lines("GET", path)}
        equal(len(tokens), 2, "tokens that were used")
    return run


for name, at_service, at_path in (("for_a_record", "image", RECORD), ("for_image_data", "image", FILE),
                                  ("for_metadata_of_a_key", "key-manager", METADATA),
                                  ("for_a_key", "key-manager", PAYLOAD)):
    add(f"a_401_{name}_leads_to_one_login_and_one_repetition", one_login_more(at_service, at_path))


@test
def a_401_for_ever_is_refused_after_one_login(bed):
    image = bed.image(DATA)
    bed.proxy("identity")
    proxy = bed.proxy("key-manager")
    bed.mount("-o", SMALL_LIMITS)
    bed.view(image).stat()
    before = logins(bed)
    proxy.fault("status", "GET", times=None, code=401)
    raises(errno.EACCES, lambda: bed.read(image), "open")
    equal(logins(bed) - before, 1, "logins")
    equal(proxy.count(), 2, "requests to the key manager")


@test
def a_token_that_was_revoked_is_replaced(bed):
    image = bed.image(DATA)
    bed.proxy("identity")
    proxy = bed.proxy("image")
    bed.mount("-o", SMALL_LIMITS)
    bed.view(image).stat()
    bed.cloud.call("DELETE", bed.cloud.keystone + "/auth/tokens", **{"X-Subject-Token": proxy.log[-1].token})
    before = logins(bed)
    bed.reads(image, DATA)
    equal(logins(bed) - before, 1, "logins")


@test
def many_readers_with_a_refused_token_share_one_login(bed):
    images = [bed.image(DATA) for _ in range(6)]
    bed.proxy("identity")
    proxy = bed.proxy("image")
    bed.mount("-o", SMALL_LIMITS)
    for image in images:
        bed.view(image).stat()
    bed.cloud.call("DELETE", bed.cloud.keystone + "/auth/tokens", **{"X-Subject-Token": proxy.log[-1].token})
    before = logins(bed)
    children = [bed.start("cp", bed.view(image), bed.target / image) for image in images]
    for child in children:
        equal(child.wait(bed.seconds(30)), 0, "cp's exit code")
    for image in images:
        same_bytes((bed.target / image).read_bytes(), DATA, "a copy")
    equal(logins(bed) - before, 1, "logins")


@test_with(limit=90)
def a_token_that_runs_out_during_a_long_download_is_renewed(bed):
    """The data come for longer than the token lives; then the connection is cut, and the rest needs
    another token."""
    image, other = bed.image(DATA), bed.image(DATA)
    bed.proxy("identity").upstream = urllib.parse.urlsplit(bed.stack.url("keystone10"))
    proxy = bed.proxy("image")
    bed.mount("-o", "connect_timeout=5,stall_timeout=20,request_timeout=20,retries=2")
    logged_in = logins(bed)
    check(logged_in <= 2, f"{logged_in} logins at start")
    proxy.fault("stall_and_drop", "GET", FILE, at=200 * KIB, seconds=TOKEN_SECONDS + 2)
    bed.reads(image, DATA)
    equal([line.status for line in proxy.lines("GET", FILE) if not line.fault], [206], "the resumed part")
    bed.reads(other, DATA)
    check(logins(bed) <= logged_in + 4, f"{logins(bed)} logins in all")


@test_with(limit=90)
def a_token_that_runs_out_between_two_opens_is_renewed(bed):
    image, other = bed.image(DATA), bed.image(DATA)
    bed.short_tokens()
    bed.mount()
    bed.reads(image, DATA)
    with open(bed.view(image), "rb", buffering=0) as stream:
        first = stream.read(1000)
        time.sleep(TOKEN_SECONDS + 1)
        rest = b"".join(iter(lambda: stream.read(1 << 16), b""))
        same_bytes(first + rest, DATA, "a read that took longer than the token lived")
    bed.reads(other, DATA)


@test_with(limit=120)
def a_token_that_runs_out_during_an_upload_does_no_harm(bed):
    image = bed.queued()
    bed.short_tokens()
    proxy = bed.proxy("image")
    bed.mount("-o", "stall_timeout=20,request_timeout=20,retries=2")
    proxy.fault("slow_request", "PUT", FILE, rate=len(DATA) // (TOKEN_SECONDS + 2))
    bed.write(image, DATA)
    bed.becomes_active(image, DATA, limit=60)


# --- services that are busy ---

@test
def retry_after_is_kept(bed):
    image = bed.image(DATA)
    proxy = bed.proxy("image")
    bed.mount("-o", "request_timeout=20")
    for code in (503, 429):
        proxy.clear()
        proxy.fault("status", "GET", FILE, code=code, headers={"Retry-After": "2"})
        bed.reads(image if code == 503 else bed.image(DATA), DATA)
        first, second = proxy.lines("GET", FILE)
        check(second.time - first.time >= 2, f"asked again after {second.time - first.time:.2f} s")


@test
def a_retry_after_of_a_day_does_not_keep_the_reader_for_a_day(bed):
    image = bed.image(DATA)
    bed.proxy("image").fault("status", "GET", FILE, times=None, code=503, headers={"Retry-After": "86400"})
    bed.mount("-o", SMALL_LIMITS)
    reader = bed.start("cat", bed.view(image))
    time.sleep(1)
    began = time.monotonic()
    reader.send_signal(signal.SIGINT)
    reader.wait(bed.seconds(10))
    check(time.monotonic() - began < bed.seconds(2), "a signal did not end the wait")


def attempts(retries: int):
    def run(bed):
        image = bed.image(DATA)
        proxy = bed.proxy("image")
        proxy.fault("status", "GET", RECORD, times=None, code=503)
        bed.mount("-o", f"retries={retries},request_timeout=30")
        raises(errno.EIO, lambda: os.stat(bed.view(image)), "stat")
        equal(proxy.count("GET", RECORD), retries + 1, "requests for one stat")
        times = [line.time for line in proxy.lines("GET", RECORD)]
        pauses = [after - before for before, after in zip(times, times[1:])]
        check(all(pause > 0.05 for pause in pauses), f"asked again at once: {pauses}")
    return run


for count in (0, 1, 3):
    add(f"with_retries_{count}_a_busy_service_is_asked_{count + 1}_times", attempts(count))


@test
def what_was_refused_for_good_is_not_asked_again(bed):
    proxy = bed.proxy("image")
    bed.mount("-o", SMALL_LIMITS)
    for code, number in ((400, errno.EINVAL), (403, errno.EACCES), (404, errno.ENOENT)):
        image = bed.image(DATA)
        proxy.clear()
        proxy.fault("status", "GET", RECORD, times=None, code=code)
        raises(number, lambda one=image: os.stat(bed.view(one)), f"stat that meets a {code}")
        equal(proxy.count("GET", RECORD), 1, f"requests that were answered with {code}")


@test
def a_service_that_fails_once_is_asked_again(bed):
    proxy, keys = bed.proxy("image"), bed.proxy("key-manager")
    bed.mount("-o", SMALL_LIMITS)
    for code in (500, 502, 503, 504):
        image = bed.image(DATA)
        proxy.clear()
        keys.clear()
        proxy.fault("status", "GET", RECORD, code=code)
        proxy.fault("status", "GET", FILE, code=code)
        keys.fault("status", "GET", PAYLOAD, code=code)
        bed.reads(image, DATA)


@test
def a_failing_image_slows_no_other(bed):
    slow, others = bed.image(DATA), [bed.image(DATA) for _ in range(3)]
    proxy = bed.proxy("image")
    bed.mount()
    proxy.fault("hang", "GET", f"{slow}/file$", times=None, seconds=60)
    reader = bed.start("cat", bed.view(slow))
    bed.wait_for(lambda: proxy.count("GET", f"{slow}/file$"), 10, "the download that hangs")
    began = time.monotonic()
    for image in others:
        bed.reads(image, DATA)
    os.listdir(bed.mount_point / "decrypt")
    check(time.monotonic() - began < bed.seconds(5), "other images were slow")
    reader.send_signal(signal.SIGINT)
    reader.wait(bed.seconds(5))


# --- stalls at every point of a read ---

def read_stalls(service: str, method: str, path: str, fault: str, options: dict):
    def run(bed):
        image = bed.image(DATA)
        proxy = bed.proxy(service)
        bed.mount("-o", SMALL_LIMITS)
        told = proxy.fault(fault, method, path, times=None, **options)
        began = time.monotonic()
        found = bed.right_or_refused(image, DATA)
        seconds = time.monotonic() - began
        check(told.used, "the fault was not met")
        check(found in (errno.ETIMEDOUT, errno.EIO), f"it ends with {errno.errorcode.get(found, found)}")
        check(seconds < bed.seconds(BOUND), f"it took {seconds:.1f} s")
        proxy.clear()
        bed.reads(image, DATA)
    return run


HANG = ("hang", {"seconds": 60})
READ_STALLS = {
    "before_the_record": ("image", "GET", RECORD, *HANG),
    "in_the_record": ("image", "GET", RECORD, "stall", {"seconds": 60}),
    "in_a_record_that_trickles": ("image", "GET", RECORD, "slow", {"rate": 40}),
    "before_the_metadata_of_the_key": ("key-manager", "GET", METADATA, *HANG),
    "before_the_key": ("key-manager", "GET", PAYLOAD, *HANG),
    "in_the_key": ("key-manager", "GET", PAYLOAD, "stall", {"at": 5, "seconds": 60}),
    "before_the_data": ("image", "GET", FILE, *HANG),
    "after_the_first_byte": ("image", "GET", FILE, "stall", {"at": 1, "seconds": 60}),
    "before_the_last_byte": ("image", "GET", FILE, "stall", {"at": -1, "seconds": 60}),
}
for name, arguments in READ_STALLS.items():
    add(f"a_stall_{name}_ends_in_time", read_stalls(*arguments))


@test
def a_stall_in_the_data_is_overcome(bed):
    image = bed.image(DATA)
    told = bed.proxy("image").fault("stall", "GET", FILE, seconds=60)
    bed.mount("-o", SMALL_LIMITS)
    began = time.monotonic()
    bed.reads(image, DATA)
    check(told.used, "the fault was not met")
    check(time.monotonic() - began < bed.seconds(BOUND), "it took too long")


@test
def a_stall_at_login_ends_in_time(bed):
    bed.proxy("identity").fault("hang", times=None, seconds=60)
    began = time.monotonic()
    answer = bed.glancefs("mount", "-o", SMALL_LIMITS, *bed.mount_command()[2:], code=None, limit=40)
    equal(answer.returncode, 7, "the exit code")
    check(time.monotonic() - began < bed.seconds(BOUND), "it took too long")


@test
def a_stall_at_a_second_login_ends_in_time(bed):
    image = bed.image(DATA)
    identity, proxy = bed.proxy("identity"), bed.proxy("image")
    bed.mount("-o", SMALL_LIMITS)
    identity.fault("hang", times=None, seconds=60)
    proxy.fault("status", "GET", RECORD, times=None, code=401)
    began = time.monotonic()
    found = bed.right_or_refused(image, DATA)
    check(found in (errno.ETIMEDOUT, errno.EIO), f"it ends with {errno.errorcode.get(found, found)}")
    check(time.monotonic() - began < bed.seconds(BOUND), "it took too long")


@test
def a_stall_of_a_list_ends_in_time(bed):
    bed.proxy("image").fault("hang", "GET", LIST, times=None, seconds=60)
    bed.mount("-o", SMALL_LIMITS)
    began = time.monotonic()
    answer = bed.run("ls", bed.mount_point / "decrypt", code=None, limit=40)
    check(answer.returncode != 0, "ls shows an empty directory instead of an error")
    check(time.monotonic() - began < bed.seconds(BOUND), "it took too long")


@test
def a_service_that_takes_no_connection_ends_in_time(bed):
    """Its queue of connections is full: no answer to the first packet."""
    image = bed.image(DATA)
    bed.mount("-o", SMALL_LIMITS)
    equal(bed.stop(), 0, "the daemon's exit code")
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = []
    for _ in range(3):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(full.getsockname())
        waiting.append(one)
    bed.entry["image_endpoint_override"] = f"http://127.0.0.1:{full.getsockname()[1]}"
    bed.mount("-o", SMALL_LIMITS)
    began = time.monotonic()
    found = bed.right_or_refused(image, DATA)
    check(found in (errno.ETIMEDOUT, errno.EIO), f"it ends with {errno.errorcode.get(found, found)}")
    check(time.monotonic() - began < bed.seconds(BOUND), "it took too long")
    for one in (*waiting, full):
        one.close()


def a_signal_ends(service: str, path: str):
    def run(bed):
        image = bed.image(DATA)
        proxy = bed.proxy(service)
        bed.mount()
        proxy.fault("hang", "GET", path, times=None, seconds=60)
        reader = bed.start("cat", bed.view(image))
        bed.wait_for(lambda: proxy.count("GET", path), 10, "the request that hangs")
        time.sleep(0.2)
        began = time.monotonic()
        reader.send_signal(signal.SIGINT)
        reader.wait(bed.seconds(10))
        seconds = time.monotonic() - began
        check(seconds < bed.seconds(0.5), f"a signal took {seconds:.2f} s to end the wait")
        proxy.clear()
        bed.reads(image, DATA)
    return run


for name, at_service, at_path in (("record", "image", RECORD), ("key", "key-manager", PAYLOAD),
                                  ("data", "image", FILE)):
    add(f"a_signal_ends_the_wait_for_a_{name}", a_signal_ends(at_service, at_path), alone=True)


# --- stalls while something is uploaded ---

@test_with(limit=90)
def a_stall_of_an_uploads_answer_ends_and_the_image_is_complete(bed):
    """The service has the data; we do not hear of it in time."""
    image = bed.queued()
    proxy = bed.proxy("image")
    bed.mount("-o", SMALL_LIMITS)
    proxy.fault("delay", "PUT", FILE, seconds=8)
    bed.write(image, DATA)
    bed.becomes_active(image, DATA, limit=60)
    bed.wait_for(lambda: not sealed(bed), 40, "the upload to be known as done")


@test
def a_service_that_hangs_keeps_nobody_from_unmounting(bed):
    image = bed.queued()
    proxy = bed.proxy("image")
    bed.mount()
    proxy.fault("hang", "PUT", FILE, times=None, seconds=60)
    bed.write(image, DATA)
    bed.wait_for(lambda: proxy.count("PUT", FILE), 10, "the upload")
    began = time.monotonic()
    equal(bed.stop(), 0, "the daemon's exit code")
    check(time.monotonic() - began < bed.seconds(5), "the daemon took too long to end")
    equal(bed.cloud.status(image), "queued", "the image's status")
    bed.mount()
    proxy.clear()
    bed.becomes_active(image, DATA)


def sealed(bed: CloudBed):
    return list((bed.cache / "staging").glob("*.json"))
