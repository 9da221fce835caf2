# SPDX-License-Identifier: Apache-2.0
"""What was done to a mount and when, and which errors that explains; what happened, by name. Any thread."""
import collections
import contextlib
import threading
import time
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, Optional, Tuple


class Fault:
    """From `begin` to `end` (None: it lasts) these errors may be seen; with an image, only of that one."""

    def __init__(self, kind: str, errors: FrozenSet[int], image: Optional[str]):
        self.kind, self.errors, self.image = kind, errors, image
        self.begin, self.end = time.monotonic(), None
        self.file: Optional[Path] = None  # that was damaged
        self.identity: Optional[Tuple[int, int]] = None

    def explains(self, error: int, since: float, image: Optional[str]) -> bool:
        return (error in self.errors and (self.image is None or image is None or self.image == image)
                and (self.end is None or self.end >= since))


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.faults: List[Fault] = []
        self.counts: Dict[str, int] = collections.Counter()

    def add(self, what: str, number: int = 1) -> None:
        with self.lock:
            self.counts[what] += number

    def begin(self, kind: str, *errors: int, image: Optional[str] = None) -> Fault:
        fault = Fault(kind, frozenset(errors), image)
        with self.lock:
            self.faults.append(fault)
            self.counts[f"fault {kind}"] += 1
        return fault

    @contextlib.contextmanager
    def during(self, kind: str, *errors: int, image: Optional[str] = None) -> Iterator[None]:
        fault = self.begin(kind, *errors, image=image)
        try:
            yield
        finally:
            fault.end = time.monotonic()

    def open_faults(self, kind: str) -> List[Fault]:
        with self.lock:
            return [fault for fault in self.faults if fault.kind == kind and fault.end is None]

    def explains(self, error: int, since: float, image: Optional[str] = None) -> bool:
        """Whether who began at `since` may see this error now. Without an image: of any image."""
        with self.lock:
            return any(fault.explains(error, since, image) for fault in self.faults)
