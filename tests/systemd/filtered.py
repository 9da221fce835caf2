#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""filtered.py UNIT COMMAND...: runs the command under the unit's filters of system calls, as
systemd would."""
import ctypes
import errno
import os
import socket
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from unit_file import Unit  # noqa: E402

ALLOW = 0x7FFF0000
EQ, MASKED_EQ = 4, 7
PROT_WRITE, PROT_EXEC = 2, 4
UNKNOWN = -1
PR_SET_NO_NEW_PRIVS = 38


class Condition(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operation", ctypes.c_int), ("a", ctypes.c_uint64),
                ("b", ctypes.c_uint64)]


LIBRARY = ctypes.CDLL("libseccomp.so.2", use_errno=True)
LIBRARY.seccomp_init.restype = ctypes.c_void_p
LIBRARY.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int,
                                           ctypes.c_uint, ctypes.POINTER(Condition)]
LIBRARY.seccomp_load.argtypes = [ctypes.c_void_p]


def refuse(number: int) -> int:
    return 0x00050000 | number


def add(rules: int, action: int, name: str, *conditions: Condition) -> None:
    number = LIBRARY.seccomp_syscall_resolve_name(name.encode())
    if number == UNKNOWN:
        return
    array = (Condition * max(1, len(conditions)))(*conditions)
    result = LIBRARY.seccomp_rule_add_array(rules, action, number, len(conditions), array)
    assert result in (0, -errno.EEXIST), f"{name}: {result}"


def load(rules: int) -> None:
    assert LIBRARY.seccomp_load(rules) == 0, "seccomp_load"


def filter_calls(unit: Unit) -> None:
    rules = LIBRARY.seccomp_init(refuse(errno.EPERM))
    for name in sorted(unit.allowed_calls()):
        add(rules, ALLOW, name)
    load(rules)


def filter_arguments(unit: Unit) -> None:
    """RestrictAddressFamilies=, MemoryDenyWriteExecute=."""
    rules = LIBRARY.seccomp_init(ALLOW)
    families = {int(getattr(socket, name)) for name in unit.value("RestrictAddressFamilies").split()}
    for family in set(range(64)) - families:
        add(rules, refuse(errno.EAFNOSUPPORT), "socket", Condition(0, EQ, family, 0))
    if unit.is_on("MemoryDenyWriteExecute"):
        both = PROT_WRITE | PROT_EXEC
        add(rules, refuse(errno.EPERM), "mmap", Condition(2, MASKED_EQ, both, both))
        add(rules, refuse(errno.EPERM), "mprotect", Condition(2, MASKED_EQ, PROT_EXEC, PROT_EXEC))
    load(rules)


if __name__ == "__main__":
    of_unit = Unit(sys.argv[1])
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    filter_arguments(of_unit)
    filter_calls(of_unit)
    os.execv(sys.argv[2], sys.argv[2:])
