# SPDX-License-Identifier: Apache-2.0
"""System calls that Python has no function for."""
import ctypes
import mmap
import os
import platform
import struct
from typing import List

from bed import Failure, check

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                      ctypes.c_long]
LIBC.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
LIBC.readahead.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_size_t]

# io_setup, io_destroy, io_getevents, io_submit
AIO_CALLS = {"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2)}
PAGE = mmap.PAGESIZE


def failed(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


class PageCacheWatch:
    """Tells how many pages of a file hold data.

    It maps the file before the reader starts: opening or mapping later would throw away the very
    pages that are looked for.
    """

    def __init__(self, path: os.PathLike, size: int):
        self.fd = os.open(path, os.O_RDONLY)
        self.size = size
        self.address = LIBC.mmap(None, size, mmap.PROT_READ, mmap.MAP_PRIVATE, self.fd, 0)
        if self.address == ctypes.c_void_p(-1).value:
            raise failed("mmap")

    def pages(self) -> int:
        vector = ctypes.create_string_buffer((self.size + PAGE - 1) // PAGE)
        if LIBC.mincore(self.address, self.size, vector) != 0:
            raise failed("mincore")
        return sum(byte & 1 for byte in vector.raw)

    def close(self) -> None:
        LIBC.munmap(self.address, self.size)
        os.close(self.fd)


def readahead(fd: int, offset: int, count: int) -> None:
    """May be refused; what matters is what it does to the stream."""
    LIBC.readahead(fd, offset, count)


class Aio:
    """Linux AIO on one O_DIRECT file: reads queued in order, several in flight."""

    def __init__(self, depth: int, step: int):
        try:
            self.setup, self.destroy, self.getevents, self.submit = AIO_CALLS[platform.machine()]
        except KeyError as missing:
            raise Failure(f"no AIO call numbers for {platform.machine()}") from missing
        self.depth, self.step = depth, step
        self.buffers = [mmap.mmap(-1, step) for _ in range(depth)]
        self.context = ctypes.c_ulong(0)
        if LIBC.syscall(self.setup, depth, ctypes.byref(self.context)) != 0:
            raise failed("io_setup")

    def read_batch(self, fd: int, offset: int) -> List[bytes]:
        """`depth` reads from `offset` on, submitted together; their bytes in order."""
        blocks, views = [], []
        for index, buffer in enumerate(self.buffers):
            view = (ctypes.c_char * self.step).from_buffer(buffer)
            views.append(view)
            # struct iocb: data, key, rw_flags, opcode (0 = pread), priority, fd, buffer, bytes,
            # offset, reserved, flags, eventfd
            blocks.append(ctypes.create_string_buffer(struct.pack(
                "<QIiHhIQQqQII", index, 0, 0, 0, 0, fd, ctypes.addressof(view), self.step,
                offset + index * self.step, 0, 0, 0)))
        pointers = (ctypes.c_void_p * self.depth)(*map(ctypes.addressof, blocks))
        if LIBC.syscall(self.submit, self.context, ctypes.c_long(self.depth), pointers) != self.depth:
            raise failed("io_submit")
        events = ctypes.create_string_buffer(32 * self.depth)
        got = LIBC.syscall(self.getevents, self.context, ctypes.c_long(self.depth),
                           ctypes.c_long(self.depth), events, None)
        check(got == self.depth, f"io_getevents gave {got} events")
        results = dict(struct.unpack_from("<QQqq", events, 32 * i)[::2] for i in range(got))
        for number in results.values():
            if number < 0:
                raise OSError(-number, f"AIO read: {os.strerror(-number)}")
        return [views[index].raw[:results[index]] for index in range(self.depth)]

    def close(self) -> None:
        LIBC.syscall(self.destroy, self.context)
