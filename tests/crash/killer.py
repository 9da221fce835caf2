#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a program and kills it just before one of its system calls:

    killer.py --report FILE --at NUMBER [--from-signal] COMMAND...

Counts the calls of all its threads that change files, or that answer somebody, in the order in which
they happen, from the start or from SIGUSR1 on. Before this number (0: none) the whole program gets
SIGKILL, so that the call is not made any more. FILE then holds the names of the calls that were
counted, one a line.
(The injections of strace count each thread by itself, which cannot name a moment of a program with
several.)
"""
import argparse
import ctypes
import os
import platform
import signal
import struct
import sys
from pathlib import Path

# Everything else leaves no trace that a later process could see.
CALLS = {
    "x86_64": {1: "write", 18: "pwrite64", 20: "writev", 40: "sendfile", 74: "fsync", 75: "fdatasync",
               77: "ftruncate", 82: "rename", 83: "mkdir", 86: "link", 87: "unlink", 91: "fchmod",
               190: "fsetxattr", 257: "openat", 258: "mkdirat", 263: "unlinkat", 264: "renameat",
               265: "linkat", 268: "fchmodat", 277: "sync_file_range", 280: "utimensat",
               285: "fallocate", 296: "pwritev", 316: "renameat2", 326: "copy_file_range",
               328: "pwritev2"},
    "aarch64": {7: "fsetxattr", 34: "mkdirat", 35: "unlinkat", 37: "linkat", 38: "renameat",
                46: "ftruncate", 47: "fallocate", 52: "fchmod", 53: "fchmodat", 56: "openat",
                64: "write", 66: "writev", 68: "pwrite64", 70: "pwritev", 71: "sendfile",
                82: "fsync", 83: "fdatasync", 84: "sync_file_range", 88: "utimensat",
                276: "renameat2", 285: "copy_file_range", 287: "pwritev2"},
}[platform.machine()]

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long
TRACEME, CONT_TO_SYSCALL, SETOPTIONS, GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
# System calls told from signals; new threads and processes traced, too; killed when we die.
OPTIONS = 1 | 2 | 4 | 8 | 16 | 0x100000
AT_ENTRY = 1
WAIT_ALL = 0x40000000
INFO = struct.Struct("=B3xIQQQQQQ")  # op, arch, instruction, stack, number of the call, 3 arguments


class Killer:
    def __init__(self, at: int, is_armed: bool):
        self.at = at
        self.is_armed = is_armed
        self.counted = []

    def arm(self, *_):
        self.is_armed = True

    def look_at(self, thread: int) -> bool:
        """True when the call that the thread is about to make is the one."""
        info = ctypes.create_string_buffer(96)
        if LIBC.ptrace(GET_SYSCALL_INFO, thread, len(info), ctypes.addressof(info)) < 0:
            return False
        kind, _, _, _, number, _, _, flags = INFO.unpack_from(info)
        if kind != AT_ENTRY or not self.is_armed or number not in CALLS:
            return False
        if CALLS[number] == "openat" and not flags & os.O_CREAT:
            return False
        self.counted.append(CALLS[number])
        return len(self.counted) == self.at

    def follow(self, leader: int) -> int:
        """Until the program has ended; its exit status as wait(2) gives it."""
        while True:
            thread, status = os.waitpid(-1, WAIT_ALL)
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                if thread == leader:
                    return status
                continue
            number = os.WSTOPSIG(status)
            deliver = 0
            if number == signal.SIGTRAP | 0x80:
                if self.look_at(thread):
                    os.kill(leader, signal.SIGKILL)
            elif status >> 16 == 0 and number != signal.SIGSTOP:
                deliver = number
            LIBC.ptrace(CONT_TO_SYSCALL, thread, None, deliver)


def start(command):
    child = os.fork()
    if child == 0:
        LIBC.ptrace(TRACEME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execv(command[0], command)
    os.waitpid(child, 0)
    if LIBC.ptrace(SETOPTIONS, child, None, OPTIONS) < 0:
        sys.exit(f"killer.py: ptrace: {os.strerror(ctypes.get_errno())}")
    LIBC.ptrace(CONT_TO_SYSCALL, child, None, None)
    return child


def main() -> int:
    parser = argparse.ArgumentParser(description="Kills a program before one of its system calls.")
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--at", type=int, required=True)
    parser.add_argument("--from-signal", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    killer = Killer(arguments.at, not arguments.from_signal)
    signal.signal(signal.SIGUSR1, killer.arm)
    status = killer.follow(start(arguments.command))
    arguments.report.write_text("".join(f"{name}\n" for name in killer.counted))
    return 0 if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
