# SPDX-License-Identifier: Apache-2.0
"""Writers that fail, die, are disturbed or run out of space: no image comes of half a file."""
import errno
import http.server
import os
import signal
import subprocess
import threading
import time

from bed import check, equal, raises
from messages import MIB, plaintext
from registry import add, test, test_with
from write_bed import (COMMIT, FALLOC_COLLAPSE_RANGE, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE,
                       FALLOC_ZERO_RANGE, ERROR, becomes_active, fallocate, file_of,
                       has_state, is_poisoned, is_refused_at_seal, mounted, never_active, part_of,
                       put, queued, seal, staged_files, state_of, status_of, write_all)

DATA = plaintext(6 * MIB, seed=23)
# Enough for each of several reading threads.
LONG = plaintext(24 * MIB, seed=25)


# --- a source that fails after some megabytes ---

def with_failing_reads(source, command):
    """The command in a tracer that lets the third and later reads of `source` by a thread fail."""
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-P", source, "-e",
            "trace=read,pread64,preadv", "-e", "inject=read,pread64,preadv:error=EIO:when=3+",
            *command]


FAILING = {
    "cp": ["cp", "SRC", "DST"],
    "cat": ["sh", "-c", "cat SRC >DST"],
    "dd": ["dd", "if=SRC", "of=DST", "bs=1M", "conv=fsync"],
    "python": ["python3", "-c", "import shutil; i = open('SRC', 'rb'); o = open('DST', 'wb');"
               "shutil.copyfileobj(i, o, 65536)"],
    "qemu_img": ["qemu-img", "convert", "-m", "1", "-f", "raw", "-O", "raw", "SRC", "DST"],
    "tee": ["bash", "-o", "pipefail", "-c", "cat SRC | tee DST"],
}


def failed_source_is_never_active(words, size, target):
    def run(bed):
        image = mounted(bed, size=size)
        source = bed.tmp / "src"
        source.write_bytes(LONG)
        command = [word.replace("SRC", str(source)).replace("DST", str(target(bed, image)))
                   for word in words]
        answer = bed.run(*with_failing_reads(source, command), code=None)
        check(answer.returncode != 0, "the command succeeded")
        never_active(bed, image)
    return run


for name, line in FAILING.items():
    add(f"{name}_whose_source_failed_makes_no_image", failed_source_is_never_active(line, None, part_of))
    add(f"{name}_of_a_declared_size_whose_source_failed_makes_no_image",
        failed_source_is_never_active(line, len(LONG), file_of))


@test
def rsync_inplace_whose_source_failed_makes_no_image(bed):
    """Not so for an image of that declared size: rsync then writes zeros for what it cannot read."""
    failed_source_is_never_active(["rsync", "--inplace", "SRC", "DST"], None, part_of)(bed)


@test
def rsync_whose_source_failed_makes_no_image(bed):
    failed_source_is_never_active(["rsync", "SRC", "DST"], None, file_of)(bed)


@test
def tar_of_a_cut_archive_makes_no_image(bed):
    image = mounted(bed, size=len(DATA))
    (bed.tmp / "src").write_bytes(DATA)
    bed.run("tar", "-cf", "archive", "--transform", f"s,src,{image},", "src")
    os.truncate(bed.tmp / "archive", 4 * MIB)
    bed.run("tar", "-C", bed.mount_point / "encrypt", "-xf", "archive", code=2)
    never_active(bed, image)


class ClosesEarly(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA[:4 * MIB])

    def log_message(self, *_):
        pass


@test
def curl_of_a_server_that_closes_early_makes_no_image(bed):
    image = mounted(bed, size=len(DATA))
    server = http.server.HTTPServer(("127.0.0.1", 0), ClosesEarly)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    bed.run("curl", "--silent", "--noproxy", "*", "--output", file_of(bed, image),
            f"http://127.0.0.1:{server.server_port}/", code=18)
    server.shutdown()
    never_active(bed, image)


@test
def a_redirect_of_a_command_that_failed_makes_no_image(bed):
    image = mounted(bed)
    bed.run("bash", "-o", "pipefail", "-c", f"(head -c 3M /dev/zero; false) | cat >{part_of(bed, image)}",
            code=1)
    never_active(bed, image)


# --- writers that are killed ---

def start_writer(bed, target, data, *command):
    """A command that copies a pipe into `target`, has written all of `data` and waits for more."""
    pipe = bed.tmp / "pipe"
    os.mkfifo(pipe)
    words = [word.replace("SRC", str(pipe)).replace("DST", str(target)) for word in command]
    child = bed.start(*words)
    stream = open(pipe, "wb", buffering=0)
    stream.write(data)
    bed.wait_for(lambda: target.exists() and os.stat(target).st_size == len(data), 20,
                 "the data to be written")
    return child, stream


DD = ("dd", "if=SRC", "of=DST", "bs=4096")
CAT = ("sh", "-c", "exec cat SRC >DST")


def killed_writer_is_refused(number):
    def run(bed):
        image = mounted(bed)
        child, stream = start_writer(bed, part_of(bed, image), DATA[:3 * MIB], *CAT)
        child.send_signal(number)
        equal(child.wait(bed.seconds(10)), -number, "how cat ended")
        stream.close()
        is_poisoned(bed, image)
    return run


for name in ("KILL", "TERM", "INT", "HUP"):
    add(f"what_a_writer_killed_by_sig{name.lower()}_leaves_cannot_be_sealed",
        killed_writer_is_refused(getattr(signal, f"SIG{name}")))


@test
def dd_that_is_interrupted_makes_no_image(bed):
    """It closes in good order, and ends by the signal afterwards: only the size tells."""
    image = mounted(bed, size=len(DATA))
    child, stream = start_writer(bed, file_of(bed, image), DATA[:3 * MIB], *DD)
    child.send_signal(signal.SIGINT)
    equal(child.wait(bed.seconds(10)), -signal.SIGINT, "how dd ended")
    stream.close()
    never_active(bed, image)


@test
def a_complete_file_whose_writer_is_killed_before_it_closes_is_not_sealed(bed):
    image = mounted(bed, size=3 * MIB)
    child, stream = start_writer(bed, file_of(bed, image), DATA[:3 * MIB], *DD)
    child.kill()
    child.wait(bed.seconds(10))
    stream.close()
    has_state(bed, file_of(bed, image), "poisoned")
    never_active(bed, image)


@test
def under_commit_close_a_killed_writer_makes_no_image(bed):
    image = mounted(bed, "commit=close")
    child, stream = start_writer(bed, file_of(bed, image), DATA[:3 * MIB], *DD)
    child.terminate()
    child.wait(bed.seconds(10))
    stream.close()
    has_state(bed, file_of(bed, image), "poisoned")
    never_active(bed, image)


@test
def sigusr1_does_not_disturb_dd(bed):
    image = mounted(bed)
    child, stream = start_writer(bed, part_of(bed, image), DATA[:3 * MIB], *DD)
    for _ in range(3):
        child.send_signal(signal.SIGUSR1)
        time.sleep(0.05)
    stream.write(DATA[3 * MIB:])
    stream.close()
    equal(child.wait(bed.seconds(20)), 0, "dd's exit code")
    check(b"records" in child.stderr.read(), "dd told nothing about its progress")
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def a_stopped_and_continued_writer_writes_on(bed):
    image = mounted(bed)
    child, stream = start_writer(bed, part_of(bed, image), DATA[:3 * MIB], *DD)
    child.send_signal(signal.SIGSTOP)
    time.sleep(0.1)
    child.send_signal(signal.SIGCONT)
    stream.write(DATA[3 * MIB:])
    stream.close()
    equal(child.wait(bed.seconds(20)), 0, "dd's exit code")
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def a_writer_under_a_rain_of_signals_writes_the_right_bytes(bed):
    """An interrupted write transfers all or nothing and poisons nothing."""
    image = mounted(bed)
    caught = []
    signal.signal(signal.SIGALRM, lambda *_: caught.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0005)
    try:
        write_all(part_of(bed, image), DATA)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    check(caught, "no signal arrived")
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def an_interrupted_seal_can_be_asked_for_again(bed):
    image = mounted(bed, "write_window=16M")
    write_all(part_of(bed, image), LONG[:16 * MIB])
    caught = []
    signal.signal(signal.SIGALRM, lambda *_: caught.append(1))
    for _ in range(1000):
        signal.setitimer(signal.ITIMER_REAL, 0.003)
        try:
            os.setxattr(part_of(bed, image), COMMIT, b"1")
            break
        except InterruptedError:
            continue
        except FileNotFoundError:
            break  # sealed between two calls: the part is <id> now
    signal.setitimer(signal.ITIMER_REAL, 0)
    check(caught, "no signal arrived")
    becomes_active(bed, image, LONG[:16 * MIB])


@test
def an_exit_without_close_is_like_a_close(bed):
    image = mounted(bed, size=len(DATA))
    bed.run("python3", "-c", "import os, sys\nfd = os.open(sys.argv[1], os.O_WRONLY)\n"
            "data = open(sys.argv[2], 'rb').read()\nwhile data:\n"
            "    data = data[os.write(fd, data):]\nos._exit(0)", file_of(bed, image),
            write_source(bed))
    becomes_active(bed, image, DATA)


def write_source(bed):
    path = bed.tmp / "src"
    path.write_bytes(DATA)
    return path


# --- writes that cannot be taken poison ---

def poisons(action):
    """The action on an open file, of which 3 MiB lie behind a 1 MiB window, poisons the staging."""
    def run(bed):
        image = mounted(bed, "write_window=1M")
        fd = os.open(part_of(bed, image), os.O_RDWR | os.O_CREAT)
        put(fd, DATA[:3 * MIB])
        action(bed, image, fd)
        raises(errno.EIO, lambda: os.pwrite(fd, b"more", 3 * MIB), "the next write")
        raises(errno.EIO, lambda: os.fsync(fd), "fsync")
        raises(errno.EIO, lambda: os.ftruncate(fd, 4 * MIB), "ftruncate")
        raises(errno.EIO, lambda: os.close(fd), "close")
        is_poisoned(bed, image)
    return run


def fails(number, call):
    return lambda bed, image, fd: raises(number, lambda: call(fd), "the call")


POISONS = {
    "a_write_before_the_window":
        fails(errno.EOPNOTSUPP, lambda fd: os.pwrite(fd, b"early", 1000)),
    "a_truncate_into_what_was_encrypted":
        fails(errno.EOPNOTSUPP, lambda fd: os.ftruncate(fd, MIB)),
    "zeros_before_the_window":
        fails(errno.EOPNOTSUPP, lambda fd: fallocate(fd, FALLOC_ZERO_RANGE, 0, 4096)),
    "a_hole_before_the_window":
        fails(errno.EOPNOTSUPP,
              lambda fd: fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 0, 4096)),
}
for name, action in POISONS.items():
    add(f"{name}_poisons", poisons(action))


@test
def what_is_refused_without_harm_does_not_poison(bed):
    image = mounted(bed, "write_window=1M")
    fd = os.open(part_of(bed, image), os.O_RDWR | os.O_CREAT)
    put(fd, DATA[:3 * MIB])
    raises(errno.EOPNOTSUPP, lambda: fallocate(fd, FALLOC_COLLAPSE_RANGE, 0, 4096), "fallocate")
    raises(errno.EOPNOTSUPP, lambda: os.pread(fd, 10, 0), "a read before the window")
    raises(errno.EOPNOTSUPP, lambda: os.setxattr(part_of(bed, image), "user.other", b"x"), "setxattr")
    fallocate(fd, FALLOC_KEEP_SIZE, 0, 100 * MIB)
    put(fd, DATA[3 * MIB:], 3 * MIB)
    os.close(fd)
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def the_window_takes_writes_in_any_order_and_can_be_read(bed):
    image = mounted(bed)
    fd = os.open(part_of(bed, image), os.O_RDWR | os.O_CREAT)
    step = 256 * 1024
    for at in sorted(range(0, 3 * MIB, step), key=lambda at: (at // step * 7) % 12):
        os.pwrite(fd, DATA[at:at + step], at)
    equal(os.pread(fd, 3 * MIB, 0), DATA[:3 * MIB], "what is read back")
    os.pwrite(fd, b"XXXX", 1000)
    os.ftruncate(fd, 2 * MIB)
    fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, MIB, 4096)
    fallocate(fd, 0, 2 * MIB, MIB)
    os.close(fd)
    expected = bytearray(DATA[:2 * MIB] + bytes(MIB))
    expected[1000:1004] = b"XXXX"
    expected[MIB:MIB + 4096] = bytes(4096)
    seal(bed, image)
    becomes_active(bed, image, bytes(expected))


@test
def a_poisoned_file_can_be_written_anew(bed):
    image = mounted(bed, "write_window=1M")
    part = part_of(bed, image)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT)
    put(fd, DATA[:3 * MIB])
    raises(errno.EOPNOTSUPP, lambda: os.pwrite(fd, b"early", 0), "the write")
    raises(errno.EIO, lambda: os.close(fd), "close")
    check(b"window" in os.getxattr(part, ERROR), f"the error is {os.getxattr(part, ERROR)!r}")
    write_all(part, DATA)
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def a_poisoned_file_can_be_removed(bed):
    image = mounted(bed, "write_window=1M")
    fd = os.open(part_of(bed, image), os.O_WRONLY | os.O_CREAT)
    put(fd, DATA[:3 * MIB])
    raises(errno.EOPNOTSUPP, lambda: os.pwrite(fd, b"early", 0), "the write")
    raises(errno.EIO, lambda: os.close(fd), "close")
    os.unlink(part_of(bed, image))
    check(not part_of(bed, image).exists(), "it is still there")
    bed.wait_for(lambda: not staged_files(bed), 10, "the staged ciphertext to go")
    never_active(bed, image)


@test
def more_than_the_declared_size_poisons(bed):
    image = mounted(bed, size=MIB)
    fd = os.open(file_of(bed, image), os.O_WRONLY)
    put(fd, DATA[:MIB])
    raises(errno.EFBIG, lambda: os.pwrite(fd, b"x", MIB), "the write")
    raises(errno.EIO, lambda: os.close(fd), "close")
    has_state(bed, file_of(bed, image), "poisoned")
    never_active(bed, image)


@test
def less_than_the_declared_size_is_not_sealed(bed):
    image = mounted(bed, size=MIB)
    write_all(file_of(bed, image), DATA[:MIB - 1], os.O_WRONLY)
    equal(state_of(file_of(bed, image)), "staging", "the state")
    raises(errno.EINVAL, lambda: os.setxattr(file_of(bed, image), "user.glancefs.commit", b"1"),
           "commit")
    never_active(bed, image)


# --- two writers ---

@test
def a_second_writer_is_busy(bed):
    image = mounted(bed)
    part = part_of(bed, image)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT)
    put(fd, DATA[:MIB])
    raises(errno.EBUSY, lambda: os.open(part, os.O_WRONLY), "a second writer")
    raises(errno.EBUSY, lambda: os.open(part, os.O_WRONLY | os.O_TRUNC), "a second writer that truncates")
    answer = bed.run("cp", write_source(bed), part, code=1)
    check(os.strerror(errno.EBUSY) in answer.stderr.decode(), f"cp says {answer.stderr!r}")
    os.close(os.open(part, os.O_RDONLY))
    put(fd, DATA[MIB:], MIB)
    os.close(fd)
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def a_staging_under_another_name_is_in_the_way_until_it_is_removed(bed):
    image = mounted(bed, size=len(DATA))
    write_all(part_of(bed, image), DATA[:MIB])
    raises(errno.EBUSY, lambda: os.open(file_of(bed, image), os.O_WRONLY), "the image itself")
    os.unlink(part_of(bed, image))
    write_all(file_of(bed, image), DATA, os.O_WRONLY)
    becomes_active(bed, image, DATA)


@test
def two_images_are_written_at_once(bed):
    first = mounted(bed)
    second = queued(bed)
    fds = [os.open(part_of(bed, image), os.O_WRONLY | os.O_CREAT) for image in (first, second)]
    other = DATA[::-1]
    for at in range(0, len(DATA), MIB):
        put(fds[0], DATA[at:at + MIB], at)
        put(fds[1], other[at:at + MIB], at)
    for fd, image in zip(fds, (first, second)):
        os.close(fd)
        seal(bed, image)
    becomes_active(bed, first, DATA)
    becomes_active(bed, second, other)


@test
def four_tools_write_four_images_at_once(bed):
    images = [mounted(bed)] + [queued(bed) for _ in range(3)]
    source = write_source(bed)
    children = [bed.start("sh", "-c", 'cp "$1" "$2.part" && mv "$2.part" "$2"', "sh", source,
                          file_of(bed, image)) for image in images]
    for child in children:
        equal(child.wait(bed.seconds(30)), 0, "a writer's exit code")
    for image in images:
        becomes_active(bed, image, DATA)


# --- unlink ---

@test
def unlinking_while_it_is_written_gives_it_up(bed):
    image = mounted(bed)
    part = part_of(bed, image)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT)
    put(fd, DATA)
    os.unlink(part)
    check(not part.exists(), "it is still there")
    raises(errno.ESTALE, lambda: os.pwrite(fd, b"x", len(DATA)), "a write")
    raises(errno.ENOENT, lambda: os.rename(part, file_of(bed, image)), "rename")
    try:
        os.close(fd)
    except OSError:
        pass
    bed.wait_for(lambda: not staged_files(bed), 10, "the staged ciphertext to go")
    equal(state_of(file_of(bed, image)), "queued", "the state")
    never_active(bed, image)


@test
def after_an_unlink_it_can_be_written_anew(bed):
    image = mounted(bed)
    write_all(part_of(bed, image), DATA[::-1])
    os.unlink(part_of(bed, image))
    write_all(part_of(bed, image), DATA)
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def a_file_that_lies_idle_is_dropped_after_staging_ttl(bed):
    image = mounted(bed, "staging_ttl=1")
    write_all(part_of(bed, image), DATA)
    check(part_of(bed, image).exists(), "it is gone at once")
    bed.wait_for(lambda: not part_of(bed, image).exists(), 30, "the idle file to be dropped")
    bed.wait_for(lambda: not staged_files(bed), 10, "the staged ciphertext to go")
    never_active(bed, image)


@test
def an_open_file_is_not_idle(bed):
    image = mounted(bed, "staging_ttl=1")
    fd = os.open(part_of(bed, image), os.O_WRONLY | os.O_CREAT)
    put(fd, DATA[:MIB])
    time.sleep(7)
    put(fd, DATA[MIB:], MIB)
    os.close(fd)
    os.rename(part_of(bed, image), file_of(bed, image))
    becomes_active(bed, image, DATA)


# --- a full disk ---

class SmallCache:
    """The cache lies on a filesystem of its own, of some megabytes."""

    def __init__(self, bed, megabytes):
        self.path = bed.cache
        bed.cache.mkdir(mode=0o700)
        bed.run("mount", "-t", "tmpfs", "-o", f"size={megabytes}M,mode=0700", "tmpfs", bed.cache)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", str(self.path)], check=True)


@test_with(limit=90)
def a_full_disk_poisons_and_recovers(bed):
    with SmallCache(bed, 12):
        image = mounted(bed)
        source = bed.tmp / "large"
        source.write_bytes(plaintext(32 * MIB, seed=24))
        part = part_of(bed, image)
        answer = bed.run("cp", source, part, code=1)
        check(os.strerror(errno.ENOSPC) in answer.stderr.decode(), f"cp says {answer.stderr!r}")
        equal(state_of(part), "poisoned", "the state")
        is_refused_at_seal(bed, image)
        equal(status_of(bed, image), "queued", "the image's status")
        os.unlink(part)
        write_all(part, DATA)
        seal(bed, image)
        becomes_active(bed, image, DATA)


@test
def a_disk_that_is_full_at_the_seal_refuses_it(bed):
    with SmallCache(bed, 8):
        image = mounted(bed, "write_window=16M")
        write_all(part_of(bed, image), plaintext(16 * MIB, seed=24))
        raises(errno.ENOSPC, lambda: os.rename(part_of(bed, image), file_of(bed, image)), "the seal")
        is_refused_at_seal(bed, image)
        equal(status_of(bed, image), "queued", "the image's status")
        os.unlink(part_of(bed, image))
        write_all(part_of(bed, image), DATA)
        seal(bed, image)
        becomes_active(bed, image, DATA)
