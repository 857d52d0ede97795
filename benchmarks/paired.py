"""Ratios in one run: two arms take turns, A B B A, and the figure is the median of the paired ratios."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

ROUNDS = 6


@dataclass(frozen=True)
class Paired:
    """``ratio``: median of a/b over the pairs; ``low``/``high``: its spread; ``a``/``b``: each arm's figures."""

    a: tuple[float, ...]
    b: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """One ratio for each pair."""
        return tuple(x / y for x, y in zip(self.a, self.b, strict=True))

    @property
    def ratio(self) -> float:
        """Their median."""
        return median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest of them."""
        return min(self.ratios), max(self.ratios)


def paired(a: Callable[[], float], b: Callable[[], float], rounds: int = ROUNDS) -> Paired:
    """Measures both arms ``rounds`` times, in the order A B, B A, A B …"""
    first, second = [], []
    for i in range(rounds):
        if i % 2:
            second.append(b())
            first.append(a())
        else:
            first.append(a())
            second.append(b())
    return Paired(tuple(first), tuple(second))
