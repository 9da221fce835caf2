# SPDX-License-Identifier: Apache-2.0
"""What a row of the table is."""
from typing import Callable, NamedTuple, Optional

from material import Material
from measure import Sample

# A round: True when ours goes first.
Round = Callable[[bool], Sample]


class Row(NamedTuple):
    name: str
    path: str
    peer: str
    demand: float
    stretch: Optional[float]
    prepare: Callable[[Material], Round]
    unit: str = "x"  # x: times as fast as the peer; of: share of the peer's time; else of the value itself
    most_rounds: int = 1000

    @property
    def more_is_better(self) -> bool:
        return self.unit == "x"

    def value(self, sample: Sample) -> float:
        if self.unit == "x":
            return sample.peer / sample.ours
        return sample.ours / sample.peer if self.unit == "of" else sample.ours


def both(ours_first: bool, ours: Callable[[], float], peer: Callable[[], float]) -> Sample:
    if ours_first:
        return Sample(ours=ours(), peer=peer())
    second = peer()
    return Sample(peer=second, ours=ours())
