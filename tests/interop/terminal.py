# SPDX-License-Identifier: Apache-2.0
"""Programs that ask for a passphrase on their terminal and nowhere else."""
import os
import pty
import select
import time
from typing import List, NamedTuple, Sequence


class Ended(NamedTuple):
    code: int
    screen: bytes


def run_on_terminal(command: Sequence[str], answers: List[bytes], prompt: bytes = b"assword",
                    timeout: float = 60) -> Ended:
    """Runs a command on a terminal of its own; each time it prompts, the next answer is typed."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.execvp(command[0], command)
        finally:
            os._exit(127)
    screen, answered, deadline = b"", 0, time.monotonic() + timeout
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 1)
        if not ready:
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        screen += piece
        while answered < min(len(answers), screen.count(prompt)):
            os.write(terminal, answers[answered])
            answered += 1
    else:
        os.kill(pid, 9)
    os.close(terminal)
    return Ended(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), screen)
