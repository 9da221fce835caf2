# SPDX-License-Identifier: Apache-2.0
"""P8: plaintext goes to no descriptor but /dev/fuse, a key to none at all."""
import re

import leak_scan
from bed import check, equal
from leak_scan import Secrets
from registry import test, test_with
from secret_image import read_in_every_way, secret_image, write_and_seal

CALLS = ",".join(f"?{name}" for name in
                 leak_scan.WRITES + leak_scan.MOVES + leak_scan.NAMES + ("mmap",))


def trace(bed, *options):
    """Mounts under strace; the tracer is no parent of the daemon, which ends as ever."""
    log = bed.tmp / "trace"
    command = bed.mount_command(*options)
    bed.mount(command=["strace", "-D", "-f", "-xx", "-yy", "-s", "4194304", "-o", str(log),
                       "-e", f"trace={CALLS}", *command])
    return log


def finish(bed, log):
    """The tracer writes on for a moment after the daemon has ended."""
    pid = bed.daemon.pid
    equal(bed.stop(limit=60), 0, "the daemon's exit code")
    ended = re.compile(rb"%d +\+\+\+ exited with 0 \+\+\+" % pid)  # strace pads short numbers
    bed.wait_for(lambda: ended.search(log.read_bytes()[-2000:]), 120, "the end of the trace")


def goes_to_fuse_only(bed, *options):
    secret = secret_image(bed)
    log = trace(bed, *options)
    read_in_every_way(bed, secret)
    write_and_seal(bed, secret)
    finish(bed, log)
    found = leak_scan.in_trace(Secrets(plaintext=secret.marker), log)
    check(any("/dev/fuse" in where for where in found), "the trace misses even what readers got")
    equal([where for where in found if "/dev/fuse" not in where], [], "where plaintext went")
    equal(leak_scan.in_trace(Secrets(key=secret.payload), log), {}, "where the key went")


@test_with(limit=240)
def plaintext_goes_to_no_descriptor_but_the_fuse_device(bed):
    goes_to_fuse_only(bed)


@test_with(limit=240)
def plaintext_that_arrives_goes_to_no_descriptor_but_the_fuse_device(bed):
    goes_to_fuse_only(bed, "-o", "verify=stream,log_level=debug")


@test
def the_trace_shows_every_way_out(bed):
    """A program that does what the daemon must not is found out, call by call."""
    secret = secret_image(bed)
    (bed.tmp / "marker").write_bytes(secret.marker)
    program = ("import mmap, os, socket\n"
               "word = open('marker', 'rb').read()\n"
               "fd = os.open('out', os.O_RDWR | os.O_CREAT)\n"
               "os.write(fd, word); os.pwrite(fd, word, 9); os.writev(fd, [b'x', word])\n"
               "left, right = socket.socketpair()\n"
               "left.send(word); left.sendmsg([b'x', word])\n"
               "os.sendfile(left.fileno(), fd, 0, 9)\n"
               "mmap.mmap(fd, 9)\n"
               "os.mkdir(word)\n")
    bed.run("strace", "-f", "-xx", "-yy", "-s", "4194304", "-o", bed.tmp / "trace", "-e",
            f"trace={CALLS},mkdir", "/usr/bin/python3", "-c", program)
    found = leak_scan.in_trace(Secrets(plaintext=secret.marker), bed.tmp / "trace")
    calls = {where.split()[0] for where in found}
    missed = {"write", "pwrite64", "writev", "sendto", "sendmsg", "sendfile", "mmap", "mkdir"} - calls
    equal(missed, set(), "calls whose leak was missed")
