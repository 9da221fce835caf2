# SPDX-License-Identifier: Apache-2.0
"""The cache on disk: ciphertext only, whole or absent, and never trusted further than checked."""
import errno
import os
import stat
import time

from bed import PASSPHRASE, check, equal, raises, read_all, same_bytes
from messages import KIB, MIB, QUICK, plaintext
from registry import test

# A text that would be found in any file that held plaintext.
NEEDLE = b"plaintext-needle-0123456789-"
DATA = NEEDLE * (4 * MIB // len(NEEDLE) + 1)


def cached_object(bed):
    """The one large object of the cache that is served."""
    large = [path for path in bed.cache.glob("objects/*/data") if path.stat().st_size > MIB]
    equal(len(large), 1, f"large objects in the cache ({large})")
    return large[0]


def edit_in_place(path, at, keep_times=True):
    """Changes one byte; size, inode and mtime stay."""
    facts = os.stat(path)
    with open(path, "r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)
        stream.seek(at)
        stream.write(bytes([byte[0] ^ 1]))
    if keep_times:
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


@test
def the_cache_holds_the_stored_bytes_and_nothing_else(bed):
    image = bed.image(DATA)
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    same_bytes(cached_object(bed).read_bytes(), bed.cloud.data(image).read_bytes(), "the cached file")
    for path in bed.cache.rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            check(NEEDLE not in text, f"{path} holds plaintext")
            check(PASSPHRASE not in text and PASSPHRASE.hex().encode() not in text,
                  f"{path} holds the key")


@test
def the_cache_is_closed_to_others(bed):
    image = bed.image(DATA)
    bed.mount()
    bed.run("cat", bed.view(image))
    equal(stat.S_IMODE(bed.cache.stat().st_mode), 0o700, "the cache's mode")
    for path in bed.cache.rglob("*"):
        expected = 0o700 if path.is_dir() else 0o600
        equal(stat.S_IMODE(path.stat().st_mode), expected, f"the mode of {path}")


@test
def nothing_is_written_outside_of_the_cache(bed):
    image = bed.image(DATA)
    bed.mount()
    before = {path for path in bed.cloud.path.rglob("*")}
    bed.run("cat", bed.view(image))
    equal({path for path in bed.cloud.path.rglob("*")}, before, "files of the cloud")
    names = {"cloud", "cache", "target", "mount", "daemon.log", "output"}
    equal({path.name for path in bed.tmp.iterdir()} - names, set(), "files beside the mount")


@test
def an_empty_cache_that_others_may_enter_is_closed(bed):
    bed.cache.mkdir()
    bed.cache.chmod(0o755)
    bed.mount()
    equal(stat.S_IMODE(bed.cache.stat().st_mode), 0o700, "the cache's mode")


@test
def a_foreign_directory_that_others_may_enter_is_refused_as_cache(bed):
    bed.cache.mkdir()
    bed.cache.chmod(0o755)
    (bed.cache / "somebody-elses").write_text("x")
    answer = bed.run(*bed.mount_command(), code=2)
    check(str(bed.cache).encode() in answer.stderr, f"the message is {answer.stderr!r}")


@test
def a_second_open_does_not_fetch_again(bed):
    image = bed.image(DATA)
    bed.mount()
    bed.run("cat", bed.view(image))
    inode = cached_object(bed).stat().st_ino
    bed.cloud.data(image).write_bytes(b"gone")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    equal(cached_object(bed).stat().st_ino, inode, "the cached file")


@test
def after_a_restart_the_cached_object_is_used_and_checked(bed):
    image = bed.image(DATA)
    bed.mount()
    bed.run("cat", bed.view(image))
    equal(bed.stop(), 0, "the daemon's exit code")
    stored = bed.cloud.data(image).read_bytes()
    bed.cloud.data(image).unlink()
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    bed.cloud.data(image).write_bytes(stored)


@test
def a_cached_object_edited_while_the_daemon_was_down_is_fetched_again(bed):
    image = bed.image(DATA)
    bed.mount()
    bed.run("cat", bed.view(image))
    equal(bed.stop(), 0, "the daemon's exit code")
    edit_in_place(cached_object(bed), MIB)
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    same_bytes(cached_object(bed).read_bytes(), bed.cloud.data(image).read_bytes(), "the cached file")


def read_edited(bed, at):
    """Opens, reads a little, edits the cached file behind the reader's back, reads on."""
    image = bed.image(DATA)
    bed.mount()
    fd = os.open(bed.view(image), os.O_RDONLY)
    got = os.read(fd, 4096)
    edit_in_place(cached_object(bed), at)
    return image, fd, got


def read_until_error(fd, got, step=64 * KIB):
    while True:
        try:
            part = os.read(fd, step)
        except OSError as error:
            equal(errno.errorcode[error.errno], "EBADMSG", "the error")
            return got
        check(part, "the stream ended as if nothing had happened")
        got += part


@test
def dd_with_a_count_is_told_of_damage_in_the_middle_of_a_block(bed):
    data = DATA + DATA
    image = bed.image(data)
    bed.mount()
    with open(bed.view(image), "rb"):
        edit_in_place(cached_object(bed), 7 * MIB + 5 * KIB)
        answer = bed.run("dd", f"if={bed.view(image)}", f"of={bed.target / 'copy'}", "bs=4M", "count=2",
                         code=1)
    check(b"Bad message" in answer.stderr, f"dd says {answer.stderr!r}")


@test
def a_cached_object_edited_under_a_reader_is_an_error_never_other_bytes(bed):
    image, fd, got = read_edited(bed, 3 * MIB + 5)
    got = read_until_error(fd, got)
    same_bytes(got, DATA[:len(got)], "the bytes before the error")
    # The refused read asked for a piece that reached into the damage: what lies before it is sound.
    got = read_until_error(fd, read_until_error(fd, got, 4096), 1)
    same_bytes(got, DATA[:len(got)], "the bytes before the damage")
    check(len(got) <= 3 * MIB + 5, f"{len(got)} bytes came, past the damage")
    raises(errno.EBADMSG, lambda: os.read(fd, 1), "a read of the damage")
    raises(errno.EBADMSG, lambda: os.close(fd), "close")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output after a new fetch")


@test
def a_cached_object_edited_after_verification_fails_a_copy_or_is_fetched_again(bed):
    image = bed.image(DATA)
    bed.mount()
    held = os.open(bed.view(image), os.O_RDONLY)
    edit_in_place(cached_object(bed), 2 * MIB)
    target = bed.target / "copy"
    answer = bed.run("cp", bed.view(image), target, code=None)
    if answer.returncode == 0:
        same_bytes(target.read_bytes(), DATA, "the copy")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output after a new fetch")
    os.close(held)


@test
def a_cached_object_cut_short_under_a_reader_is_an_error(bed):
    image = bed.image(DATA)
    bed.mount()
    fd = os.open(bed.view(image), os.O_RDONLY)
    got = os.read(fd, 4096)
    os.truncate(cached_object(bed), 2 * MIB)
    got = read_until_error(fd, got)
    same_bytes(got, DATA[:len(got)], "the bytes before the error")
    raises(errno.EBADMSG, lambda: os.close(fd), "close")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output after a new fetch")


@test
def a_cached_object_removed_under_a_reader_harms_nobody(bed):
    image = bed.image(DATA)
    bed.mount()
    fd = os.open(bed.view(image), os.O_RDONLY)
    os.unlink(cached_object(bed))
    same_bytes(read_all(fd), DATA, "the open stream")
    os.close(fd)
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output after a new fetch")


@test
def a_failed_fetch_leaves_nothing_in_the_cache(bed):
    stored = bed.gpg.encrypt(DATA, PASSPHRASE, *QUICK, "-z0")
    image = bed.cloud.add_image(stored, bed.cloud.add_secret())
    bed.cloud.data(image).write_bytes(stored[:-1] + bytes([stored[-1] ^ 1]))
    bed.mount()
    bed.refused(image, errno.EBADMSG)
    large = [path for path in bed.cache.rglob("*") if path.is_file() and path.stat().st_size > KIB]
    equal(large, [], "files in the cache")


@test
def what_cannot_be_decrypted_is_not_kept(bed):
    nonsense = bed.cloud.add_image(plaintext(3 * MIB, seed=7), bed.cloud.add_secret())
    plain = bed.cloud.add_image(DATA, bed.cloud.add_secret())
    bed.mount()
    for image in (nonsense, plain):
        bed.refused(image, errno.EBADMSG)
    equal(list(bed.cache.glob("*/*")), [], "what is in the cache")


@test
def a_second_mount_on_the_same_cache_is_refused(bed):
    image = bed.image(DATA)
    bed.mount()
    second = bed.tmp / "second"
    second.mkdir()
    answer = bed.glancefs("mount", "--cloud", f"local:{bed.cloud.path}", "--cache", bed.cache, "-f",
                          second, code=1)
    check(b"another glancefs mount uses it" in answer.stderr, f"it says {answer.stderr}")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


def stop_download_at(bed, image, size):
    record = {**bed.cloud.record(image), "glancefs_test_stop_at": size}
    bed.cloud.write_record(image, {name: value for name, value in record.items() if value is not None})


def a_new_daemon_goes_on(bed, mode):
    """The cloud has only the second part any more when the new daemon comes."""
    image = bed.image(DATA)
    stored = bed.cloud.data(image).read_bytes()
    stop_download_at(bed, image, 3 * MIB)
    bed.mount("-o", f"verify={mode}")
    child = bed.start("cat", bed.view(image))
    bed.wait_for(lambda: any(data.stat().st_size == 3 * MIB for data in bed.cache.glob("partial/*/data")), 20,
                 "3 MiB of the download")
    bed.daemon.kill()
    bed.wait_daemon()
    bed.run("fusermount3", "-uz", bed.mount_point)
    child.wait(bed.seconds(20))
    bed.cloud.data(image).write_bytes(bytes(3 * MIB) + stored[3 * MIB:])
    stop_download_at(bed, image, None)
    bed.mount("-o", f"verify={mode}")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    same_bytes(cached_object(bed).read_bytes(), stored, "the object")


@test
def a_new_daemon_goes_on_where_a_killed_one_ended(bed):
    a_new_daemon_goes_on(bed, "first")


@test
def a_new_daemon_goes_on_where_a_killed_one_ended_under_verify_stream(bed):
    a_new_daemon_goes_on(bed, "stream")


@test
def left_overs_of_a_killed_daemon_are_removed(bed):
    image = bed.image(plaintext(64 * MIB))
    bed.mount()
    child = bed.start("cat", bed.view(image))
    time.sleep(0.15)
    bed.daemon.kill()
    bed.wait_daemon()
    child.wait(bed.seconds(20))
    bed.run("fusermount3", "-uz", bed.mount_point)
    bed.mount()
    bed.run("cmp", bed.view(image), "-", code=1)
    files = [path for path in bed.cache.rglob("*") if path.is_file() and path.stat().st_size > MIB]
    check(len(files) == 1, f"large files in the cache: {files}")


@test
def a_full_cache_disk_is_enospc_and_small_images_still_work(bed):
    big, small = bed.image(plaintext(6 * MIB)), bed.image(b"small")
    bed.cache = bed.tmp / "small-disk"
    bed.cache.mkdir()
    bed.run("mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "none", bed.cache)
    try:
        bed.mount()
        bed.refused(big, errno.ENOSPC)
        same_bytes(bed.run("cat", bed.view(small)).stdout, b"small", "cat's output")
        equal(bed.stop(), 0, "the daemon's exit code")
    finally:
        bed.run("umount", "-l", bed.cache)
