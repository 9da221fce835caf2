# SPDX-License-Identifier: Apache-2.0
"""The list of tests: a test is a function of a bed, its name says what holds."""
from typing import Callable, Dict, NamedTuple


class Test(NamedTuple):
    function: Callable
    limit: float  # seconds after which it has failed
    alone: bool  # measures time: nothing else runs beside it
    measures: bool  # memory or a speed: release builds only


TESTS: Dict[str, Test] = {}


def add(name: str, function: Callable, limit: float = 60, alone: bool = False,
        measures: bool = False) -> None:
    assert name not in TESTS, f"two tests are named {name}"
    TESTS[name] = Test(function, limit, alone, measures)


def test(function: Callable) -> Callable:
    add(function.__name__, function)
    return function


def test_with(**options: object) -> Callable:
    def take(function: Callable) -> Callable:
        add(function.__name__, function, **options)
        return function
    return take
