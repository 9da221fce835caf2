# SPDX-License-Identifier: Apache-2.0
"""Plaintext never enters the page cache, whoever reads and however."""
import mmap
import os
import socket

import kernel
from bed import check, equal
from messages import KIB, MIB, plaintext
from registry import add, test

SIZE = 2 * MIB
DATA = plaintext(SIZE, seed=5)


@test
def the_watch_sees_pages_of_an_ordinary_file(bed):
    """Without this the other tests of this file would prove nothing."""
    path = bed.tmp / "ordinary"
    path.write_bytes(DATA)
    watch = kernel.PageCacheWatch(path, SIZE)
    path.read_bytes()
    equal(watch.pages(), SIZE // kernel.PAGE, "pages of an ordinary file")
    watch.close()


def leaves_no_page(read):
    def run(bed):
        image = bed.image(DATA)
        bed.mount()
        view = bed.view(image)
        watch = kernel.PageCacheWatch(view, SIZE)
        read(bed, view)
        equal(watch.pages(), 0, "pages that hold plaintext")
        watch.close()
    return run


def command(*words):
    def read(bed, view):
        bed.run(*[word.replace("VIEW", str(view)).replace("TARGET", str(bed.target / "copy"))
                  for word in words], code=None)
    return read


def with_open_file(action):
    def read(_, view):
        fd = os.open(view, os.O_RDONLY)
        try:
            action(fd)
        except OSError:
            pass
        os.close(fd)
    return read


def splice(fd):
    reader, writer = os.pipe()
    try:
        os.splice(fd, writer, 65536)
    finally:
        os.close(reader)
        os.close(writer)


def sendfile(fd):
    left, right = socket.socketpair()
    try:
        os.sendfile(left.fileno(), fd, None, 65536)
    finally:
        left.close()
        right.close()


def touch_map(_, view):
    child = os.fork()
    if child == 0:
        fd = os.open(view, os.O_RDONLY)
        os._exit(mmap.mmap(fd, SIZE, mmap.MAP_PRIVATE, mmap.PROT_READ)[0] & 0)
    _, status = os.waitpid(child, 0)
    check(os.WIFSIGNALED(status), "the map was readable")


def advise(fd):
    os.posix_fadvise(fd, 0, MIB, os.POSIX_FADV_WILLNEED)
    os.read(fd, 100 * KIB)
    os.posix_fadvise(fd, 0, MIB, os.POSIX_FADV_WILLNEED)


def read_ahead(fd):
    kernel.readahead(fd, 0, MIB)
    os.read(fd, 100 * KIB)
    kernel.readahead(fd, 0, MIB)


WAYS = {
    "cat": command("cat", "VIEW"),
    "cp": command("cp", "VIEW", "TARGET"),
    "dd": command("dd", "if=VIEW", "of=/dev/null", "bs=64K"),
    "dd_direct": command("dd", "if=VIEW", "of=/dev/null", "bs=1M", "iflag=direct"),
    "pv": command("sh", "-c", "pv -q VIEW | cat >/dev/null"),
    "tar": command("tar", "-cf", "TARGET", "VIEW"),
    "rsync": command("rsync", "VIEW", "TARGET"),
    "curl": command("curl", "--silent", "--output", "TARGET", "file://VIEW"),
    "splice": with_open_file(splice),
    "sendfile": with_open_file(sendfile),
    "a_private_map": touch_map,
    "fadvise_willneed": with_open_file(advise),
    "readahead": with_open_file(read_ahead),
}
for name, way in WAYS.items():
    add(f"{name}_leaves_no_page_of_plaintext", leaves_no_page(way))
