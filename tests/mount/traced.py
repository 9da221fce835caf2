# SPDX-License-Identifier: Apache-2.0
"""System calls made in the place of another process, by ptrace(2), to see what it may do."""
import ctypes
import os
import platform
import signal
import struct
from typing import List

from bed import check
from kernel import LIBC, failed

SINGLESTEP, DETACH, GETREGSET, SETREGSET, SEIZE, INTERRUPT = 9, 17, 0x4204, 0x4205, 0x4206, 0x4207
NT_PRSTATUS = 1
WALL = 0x40000000
SYSCALL = b"\x0f\x05"

# Where registers of x86-64 stand in struct user_regs_struct.
REGISTERS = 27
RAX, RDX, RSI, RDI, ORIG_RAX, RIP = 10, 12, 13, 14, 15, 16

LIBC.ptrace.restype = ctypes.c_long
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]


def can_trace() -> bool:
    """Registers are known of one architecture only."""
    return platform.machine() == "x86_64"


def trace(request: int, thread: int, address: int = 0, data: object = None) -> None:
    if LIBC.ptrace(request, thread, address, data) != 0:
        raise failed(f"ptrace {request:#x}")


def registers(request: int, thread: int, values: List[int]) -> List[int]:
    room = ctypes.create_string_buffer(struct.pack(f"{REGISTERS}Q", *values), 8 * REGISTERS)
    vector = Vector(ctypes.addressof(room), len(room))
    trace(request, thread, NT_PRSTATUS, ctypes.byref(vector))
    return list(struct.unpack(f"{REGISTERS}Q", room.raw))


def call_in(thread: int, number: int, first: int) -> int:
    """What the system call gives to a thread that waits in another one, which goes on afterwards."""
    trace(SEIZE, thread)
    trace(INTERRUPT, thread)
    os.waitpid(thread, WALL)
    before = registers(GETREGSET, thread, [0] * REGISTERS)
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        memory.seek(before[RIP] - len(SYSCALL))
        check(memory.read(len(SYSCALL)) == SYSCALL, f"thread {thread} is in no system call")
    changed = list(before)
    changed[RIP] -= len(SYSCALL)
    changed[RAX], changed[ORIG_RAX] = number, (1 << 64) - 1
    changed[RDI], changed[RSI], changed[RDX] = first, 0, 0
    registers(SETREGSET, thread, changed)
    trace(SINGLESTEP, thread)
    _, status = os.waitpid(thread, WALL)
    held = []
    while os.WIFSTOPPED(status) and os.WSTOPSIG(status) != signal.SIGTRAP:
        held.append(os.WSTOPSIG(status))  # a signal came first; it gets it afterwards
        trace(SINGLESTEP, thread)
        _, status = os.waitpid(thread, WALL)
    check(os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGTRAP, f"it has status {status:#x}")
    result = registers(GETREGSET, thread, [0] * REGISTERS)[RAX]
    registers(SETREGSET, thread, before)
    trace(DETACH, thread)
    for number_held in held:
        os.kill(thread, number_held)
    return result - (1 << 64) if result >> 63 else result


def exec_in(thread: int) -> int:
    """The errno of an execve of no program: EFAULT where programs may be run."""
    return -call_in(thread, 59, 0)


def fork_in(thread: int) -> int:
    """The errno of a clone of a process with flags that make no sense: EINVAL where processes may be
    made."""
    clone_sighand = 0x800
    return -call_in(thread, 56, clone_sighand)
