# SPDX-License-Identifier: Apache-2.0
"""How programs read: each gets the exact bytes, or fails loudly where it would have to seek."""
import errno
import hashlib
import mmap
import os
import shutil
import signal
import socket
import tarfile

import kernel
from bed import check, equal, raises, read_all, same_bytes
from messages import KIB, MIB, compressible, plaintext
from registry import add, test

SIZE = 3 * MIB + 123
DATA = plaintext(SIZE)


def mounted_view(bed, data=DATA, *options):
    image = bed.image(data, *options)
    bed.mount()
    return bed.view(image)


# --- programs that copy a whole file to a path ---

COPIES = {
    "cp": ["cp", "VIEW", "TARGET"],
    "cp_sparse_always": ["cp", "--sparse=always", "VIEW", "TARGET"],
    "cp_sparse_never": ["cp", "--sparse=never", "VIEW", "TARGET"],
    "cp_reflink_auto": ["cp", "--reflink=auto", "VIEW", "TARGET"],
    "cp_preserving": ["cp", "-p", "VIEW", "TARGET"],
    "install": ["install", "-m", "600", "VIEW", "TARGET"],
    "rsync": ["rsync", "VIEW", "TARGET"],
    "rsync_whole_file_sparse": ["rsync", "-W", "--sparse", "VIEW", "TARGET"],
    "dd_bs_1M": ["dd", "if=VIEW", "of=TARGET", "bs=1M"],
    "dd_bs_4K": ["dd", "if=VIEW", "of=TARGET", "bs=4K"],
    "dd_bs_64M": ["dd", "if=VIEW", "of=TARGET", "bs=64M"],
    "dd_bs_777": ["dd", "if=VIEW", "of=TARGET", "bs=777"],
    "dd_direct_128K": ["dd", "if=VIEW", "of=TARGET", "bs=128K", "iflag=direct"],
    "dd_direct_4M": ["dd", "if=VIEW", "of=TARGET", "bs=4M", "iflag=direct"],
    "dd_fullblock": ["dd", "if=VIEW", "of=TARGET", "bs=1M", "iflag=fullblock"],
    "dd_sparse": ["dd", "if=VIEW", "of=TARGET", "bs=64K", "conv=sparse"],
    "curl": ["curl", "--silent", "--show-error", "--output", "TARGET", "file://VIEW"],
    "cat": ["sh", "-c", "cat VIEW > TARGET"],
    "cat_of_redirected_input": ["sh", "-c", "cat < VIEW > TARGET"],
    "pv": ["sh", "-c", "pv -q VIEW | cat > TARGET"],
    "gzip": ["sh", "-c", "gzip -1 < VIEW | gzip -d > TARGET"],
    "head_of_everything": ["sh", "-c", f"head -c {SIZE} VIEW > TARGET"],
}


def copies_exactly(command):
    def run(bed):
        view, target = mounted_view(bed), bed.target / "copy"
        words = [word.replace("VIEW", str(view)).replace("TARGET", str(target)) for word in command]
        bed.run(*words)
        same_bytes(target.read_bytes(), DATA, "the copy")
    return run


for name, words in COPIES.items():
    add(f"{name}_copies_exactly", copies_exactly(words))


@test
def cp_of_a_compressed_image_copies_exactly(bed):
    data = compressible(5 * MIB + 1)
    view, target = mounted_view(bed, data, "-z6"), bed.target / "copy"
    bed.run("cp", view, target)
    same_bytes(target.read_bytes(), data, "the copy")


@test
def cp_of_a_sparse_image_with_sparse_always_copies_exactly(bed):
    data = b"begin" + bytes(4 * MIB) + b"end"
    view, target = mounted_view(bed, data, "-z6"), bed.target / "copy"
    bed.run("cp", "--sparse=always", view, target)
    same_bytes(target.read_bytes(), data, "the copy")


@test
def cp_out_of_a_cache_on_tmpfs_copies_exactly(bed):
    bed.cache = bed.tmp / "tmpfs"
    bed.cache.mkdir(mode=0o700)
    bed.run("mount", "-t", "tmpfs", "-o", "mode=0700", "none", bed.cache)
    try:
        view, target = mounted_view(bed), bed.target / "copy"
        bed.run("cp", view, target)
        same_bytes(target.read_bytes(), DATA, "the copy")
        equal(bed.stop(), 0, "the daemon's exit code")
    finally:
        bed.run("umount", bed.cache)


@test
def sha256sum_tells_the_right_sum(bed):
    answer = bed.run("sha256sum", mounted_view(bed))
    equal(answer.stdout.split()[0].decode(), hashlib.sha256(DATA).hexdigest(), "the sum")


@test
def cmp_finds_no_difference(bed):
    view = mounted_view(bed)
    (bed.tmp / "plain").write_bytes(DATA)
    bed.run("cmp", view, bed.tmp / "plain")


@test
def tar_archives_the_exact_bytes(bed):
    view, archive = mounted_view(bed), bed.target / "archive.tar"
    bed.run("tar", "-C", view.parent, "-cf", archive, view.name)
    with tarfile.open(archive) as tar:
        same_bytes(tar.extractfile(view.name).read(), DATA, "the archived file")


# --- parts of a file ---

@test
def dd_count_takes_the_first_blocks(bed):
    answer = bed.run("dd", f"if={mounted_view(bed)}", "bs=64K", "count=20", "status=none")
    same_bytes(answer.stdout, DATA[:20 * 64 * KIB], "20 blocks")


@test
def dd_count_of_exactly_everything_is_whole(bed):
    answer = bed.run("dd", f"if={mounted_view(bed)}", f"bs={SIZE}", "count=1", "status=none")
    same_bytes(answer.stdout, DATA, "one block")


@test
def dd_skip_reads_and_discards(bed):
    answer = bed.run("dd", f"if={mounted_view(bed)}", "bs=64K", "skip=10", "status=none")
    same_bytes(answer.stdout, DATA[10 * 64 * KIB:], "the rest")


@test
def dd_skip_and_count_in_fullblock_mode_take_the_middle(bed):
    answer = bed.run("dd", f"if={mounted_view(bed)}", "bs=1M", "skip=1", "count=1",
                     "iflag=fullblock", "status=none")
    same_bytes(answer.stdout, DATA[MIB:2 * MIB], "the middle")


@test
def head_takes_the_beginning(bed):
    answer = bed.run("head", "-c", "100000", mounted_view(bed))
    same_bytes(answer.stdout, DATA[:100000], "the head")


@test
def tail_of_a_small_image_takes_the_end(bed):
    data = plaintext(200 * KIB)
    answer = bed.run("tail", "-c", "1000", mounted_view(bed, data))
    same_bytes(answer.stdout, data[-1000:], "the tail")


@test
def tail_from_a_byte_on_never_gives_other_bytes(bed):
    answer = bed.run("sh", "-c", f"cat {mounted_view(bed)} | tail -c +1001")
    same_bytes(answer.stdout, DATA[1000:], "the tail")


@test
def tail_of_a_large_image_fails_loudly(bed):
    answer = bed.run("tail", "-c", "1000", mounted_view(bed), code=1)
    same_bytes(answer.stdout, b"", "tail's output")
    check(b"seek" in answer.stderr, f"tail says {answer.stderr!r}")


@test
def qemu_img_fails_loudly(bed):
    view = mounted_view(bed, bytes(2 * MIB), "-z6")
    for arguments in (["info"], ["convert", "-f", "raw", "-O", "raw"]):
        extra = [bed.target / "out"] if arguments[0] == "convert" else []
        answer = bed.run("qemu-img", *arguments, view, *extra, code=1)
        # Usually "Illegal seek". Its io_uring may interrupt its own open, which is as loud.
        check(b"Could not" in answer.stderr, f"qemu-img {arguments[0]} says {answer.stderr!r}")


@test
def cp_into_the_mount_itself_is_refused(bed):
    view = mounted_view(bed)
    bed.run("cp", view, view.parent / "copy", code=1)


# --- Python's ways ---

@test
def shutil_copyfile_copies_exactly(bed):
    target = bed.target / "copy"
    shutil.copyfile(mounted_view(bed), target)
    same_bytes(target.read_bytes(), DATA, "the copy")


@test
def shutil_copyfile_in_a_fresh_python_copies_exactly(bed):
    target = bed.target / "copy"
    bed.run("/usr/bin/python3", "-c", "import shutil, sys; shutil.copyfile(*sys.argv[1:])",
            mounted_view(bed), target)
    same_bytes(target.read_bytes(), DATA, "the copy")


def reads_in_steps_of(step):
    def run(bed):
        data = DATA if step >= 1000 else DATA[:5000]
        fd = os.open(mounted_view(bed, data), os.O_RDONLY)
        same_bytes(read_all(fd, step), data, f"reads of {step} bytes")
        for _ in range(3):
            same_bytes(os.read(fd, step), b"", "a read after the end")
        os.close(fd)
    return run


for size in (1, 13, 4095, 4096, 65537, MIB - 1, MIB, MIB + 1, 64 * MIB):
    add(f"reads_of_{size}_bytes_give_everything", reads_in_steps_of(size))


@test
def every_read_is_full_until_the_end(bed):
    with open(mounted_view(bed), "rb", buffering=0) as stream:
        for offset in range(0, SIZE, 100000):
            equal(len(stream.read(100000)), min(100000, SIZE - offset), f"the read at {offset}")


@test
def a_read_of_zero_bytes_moves_nothing(bed):
    fd = os.open(mounted_view(bed), os.O_RDONLY)
    same_bytes(os.read(fd, 0), b"", "nothing")
    same_bytes(os.read(fd, 10), DATA[:10], "the first bytes")
    same_bytes(os.read(fd, 0), b"", "nothing")
    same_bytes(read_all(fd), DATA[10:], "the rest")
    os.close(fd)


@test
def readinto_an_unaligned_buffer_gives_everything(bed):
    buffer = memoryview(bytearray(SIZE + 1))[1:]
    with open(mounted_view(bed), "rb", buffering=0) as stream:
        at = 0
        while at < SIZE:
            got = stream.readinto(buffer[at:at + MIB])
            check(got, f"the end came at {at}")
            at += got
    same_bytes(bytes(buffer), DATA, "the buffer")


@test
def readv_fills_its_buffers_in_order(bed):
    fd = os.open(mounted_view(bed), os.O_RDONLY)
    buffers = [bytearray(1000), bytearray(70000), bytearray(5)]
    equal(os.readv(fd, buffers), 71005, "readv")
    same_bytes(b"".join(buffers), DATA[:71005], "the buffers")
    os.close(fd)


@test
def an_open_with_o_nonblock_reads_everything(bed):
    fd = os.open(mounted_view(bed), os.O_RDONLY | os.O_NONBLOCK)
    same_bytes(read_all(fd), DATA, "the bytes")
    os.close(fd)


@test
def an_open_with_o_creat_of_an_existing_image_reads_everything(bed):
    fd = os.open(mounted_view(bed), os.O_RDONLY | os.O_CREAT)
    same_bytes(read_all(fd), DATA, "the bytes")
    os.close(fd)


@test
def sendfile_is_refused_and_the_stream_goes_on(bed):
    source = os.open(mounted_view(bed), os.O_RDONLY)
    left, right = socket.socketpair()
    for offset, numbers in ((None, {errno.EINVAL, errno.ESPIPE}), (0, {errno.EINVAL, errno.ESPIPE})):
        try:
            os.sendfile(left.fileno(), source, offset, 65536)
        except OSError as error:
            check(error.errno in numbers, f"sendfile gave {error}")
        else:
            check(False, "sendfile moved bytes through the page cache")
    same_bytes(read_all(source), DATA, "the bytes after it")
    left.close()
    right.close()
    os.close(source)


@test
def splice_is_refused_and_the_stream_goes_on(bed):
    source = os.open(mounted_view(bed), os.O_RDONLY)
    reader, writer = os.pipe()
    raises(errno.EINVAL, lambda: os.splice(source, writer, 65536), "splice")
    same_bytes(read_all(source), DATA, "the bytes after it")
    for fd in (source, reader, writer):
        os.close(fd)


@test
def lseek_is_refused(bed):
    fd = os.open(mounted_view(bed), os.O_RDONLY)
    for whence in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END, os.SEEK_DATA, os.SEEK_HOLE):
        raises(errno.ESPIPE, lambda way=whence: os.lseek(fd, 0, way), f"lseek {whence}")
    same_bytes(read_all(fd), DATA, "the bytes after it")
    os.close(fd)


@test
def pread_and_preadv_are_refused(bed):
    fd = os.open(mounted_view(bed), os.O_RDONLY)
    raises(errno.ESPIPE, lambda: os.pread(fd, 10, 0), "pread")
    raises(errno.ESPIPE, lambda: os.preadv(fd, [bytearray(10)], 100), "preadv")
    same_bytes(read_all(fd), DATA, "the bytes after it")
    os.close(fd)


# --- memory maps ---

@test
def a_shared_map_is_refused(bed):
    fd = os.open(mounted_view(bed), os.O_RDONLY)
    raises(errno.ENODEV, lambda: mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ), "mmap")
    os.close(fd)


@test
def touching_a_private_map_raises_sigbus(bed):
    view = mounted_view(bed)
    child = os.fork()
    if child == 0:
        fd = os.open(view, os.O_RDONLY)
        area = mmap.mmap(fd, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)
        os._exit(area[0] & 0)
    _, status = os.waitpid(child, 0)
    check(os.WIFSIGNALED(status), f"the map was readable, status {status}")
    equal(os.WTERMSIG(status), signal.SIGBUS, "the signal")


# --- hints ---

def hint_leaves_the_stream(give):
    def run(bed):
        fd = os.open(mounted_view(bed), os.O_RDONLY)
        give(fd, 0)
        first = os.read(fd, 300 * KIB)
        same_bytes(first, DATA[:300 * KIB], "the bytes before a hint")
        for offset in (0, 300 * KIB, 100 * KIB, MIB, 2 * MIB):
            give(fd, offset)
        same_bytes(first + read_all(fd), DATA, "the bytes")
        os.close(fd)
    return run


def will_need(fd, offset):
    os.posix_fadvise(fd, offset, 256 * KIB, os.POSIX_FADV_WILLNEED)


def sequential(fd, offset):
    os.posix_fadvise(fd, offset, 0, os.POSIX_FADV_SEQUENTIAL)


add("fadvise_willneed_does_not_move_the_stream", hint_leaves_the_stream(will_need))
add("fadvise_sequential_does_not_move_the_stream", hint_leaves_the_stream(sequential))
add("readahead_does_not_move_the_stream",
    hint_leaves_the_stream(lambda fd, offset: kernel.readahead(fd, offset, 256 * KIB)))


# --- several requests in flight ---

def aio_gives_everything(step, depth):
    def run(bed):
        fd = os.open(mounted_view(bed), os.O_RDONLY | os.O_DIRECT)
        aio, parts, offset = kernel.Aio(depth, step), [], 0
        while offset < SIZE:
            parts += aio.read_batch(fd, offset)
            offset += step * depth
        same_bytes(b"".join(parts), DATA, "the bytes")
        aio.close()
        os.close(fd)
    return run


add("aio_of_4_direct_reads_in_flight_gives_everything", aio_gives_everything(128 * KIB, 4))
add("aio_of_16_direct_reads_in_flight_gives_everything", aio_gives_everything(64 * KIB, 16))


@test
def aio_far_off_the_position_is_refused(bed):
    fd = os.open(mounted_view(bed), os.O_RDONLY | os.O_DIRECT)
    aio = kernel.Aio(1, 64 * KIB)
    raises(errno.ESPIPE, lambda: aio.read_batch(fd, 2 * MIB), "an AIO read at 2 MiB")
    same_bytes(read_all(fd), DATA, "the bytes after it")
    aio.close()
    os.close(fd)


# --- sizes ---

def size_copies_exactly(count, *options):
    def run(bed):
        data = plaintext(count, seed=2)
        view, target = mounted_view(bed, data, *options), bed.target / "copy"
        equal(view.stat().st_size, count, "st_size")
        bed.run("cp", view, target)
        same_bytes(target.read_bytes(), data, "the copy")
        same_bytes(bed.run("cat", view).stdout, data, "cat's output")
    return run


for count in (0, 1, 15, 16, 17, 191, 192, 8383, 8384, 65536, MIB - 1, MIB, MIB + 1, 2 * MIB,
              4 * MIB + 4095):
    add(f"an_image_of_{count}_bytes_copies_exactly", size_copies_exactly(count, "-z0"))
for count in (0, 1, 65536, MIB, 2 * MIB + 1):
    add(f"a_compressed_image_of_{count}_bytes_copies_exactly", size_copies_exactly(count, "-z6"))


# --- what gpg can write ---

def message_of_kind_opens(*options):
    def run(bed):
        data = compressible(MIB + 77)
        view = mounted_view(bed, data, *options)
        same_bytes(bed.run("cat", view).stdout, data, "cat's output")
    return run


KINDS = {
    "with_gpgs_defaults": ["--no-textmode"],
    "compressed_with_zip": ["--compress-algo", "zip"],
    "compressed_with_zlib": ["--compress-algo", "zlib"],
    "uncompressed": ["--compress-algo", "none"],
    "with_aes128": ["--cipher-algo", "AES128", "-z0"],
    "with_aes192": ["--cipher-algo", "AES192", "-z0"],
    "with_s2k_sha512": ["--s2k-digest-algo", "SHA512", "-z0"],
    "with_salted_s2k": ["--s2k-mode", "1", "-z0"],
    "with_simple_s2k": ["--s2k-mode", "0", "-z0"],
    "with_a_file_name_inside": ["--set-filename", "../../etc/passwd", "-z0"],
}
for name, options in KINDS.items():
    add(f"a_message_{name}_opens", message_of_kind_opens(*options))


@test
def a_message_with_gpgs_own_key_derivation_opens(bed):
    data = compressible(MIB)
    stored = bed.gpg.encrypt(data, b"secret")
    image = bed.cloud.add_image(stored, bed.cloud.add_secret(b"secret"))
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, data, "cat's output")


@test
def a_message_that_glancefs_encrypted_opens(bed):
    (bed.tmp / "plain").write_bytes(DATA)
    (bed.tmp / "key").write_bytes(b"secret")
    bed.glancefs("encrypt", "--key-file", bed.tmp / "key", "--output", bed.tmp / "stored",
                 bed.tmp / "plain")
    image = bed.cloud.add_image((bed.tmp / "stored").read_bytes(), bed.cloud.add_secret(b"secret"))
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


# --- how secrets become passphrases ---

def key_opens(payload, kind, passphrase, *mount_options):
    def run(bed):
        stored = bed.gpg.encrypt(DATA[:1000], passphrase, "--s2k-count", "65536")
        image = bed.cloud.add_image(stored, bed.cloud.add_secret(payload, kind))
        bed.mount(*mount_options)
        same_bytes(bed.run("cat", bed.view(image)).stdout, DATA[:1000], "cat's output")
    return run


BINARY = bytes(range(200, 232))
add("a_passphrase_secret_is_used_as_it_is", key_opens(b"pass word", "passphrase", b"pass word"))
add("a_symmetric_secret_is_used_as_hex", key_opens(BINARY, "symmetric", BINARY.hex().encode()))
add("an_opaque_secret_is_used_as_hex", key_opens(BINARY, "opaque", BINARY.hex().encode()))
add("key_encoding_raw_takes_the_bytes",
    key_opens(b"raw bytes", "symmetric", b"raw bytes", "-o", "key_encoding=raw"))
add("key_encoding_hex_takes_the_digits",
    key_opens(b"pass", "passphrase", b"70617373", "-o", "key_encoding=hex"))
add("key_encoding_base64_takes_the_text",
    key_opens(b"pass", "passphrase", b"cGFzcw==", "-o", "key_encoding=base64"))
