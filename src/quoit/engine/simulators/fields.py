"""What fields of a scenario may hold."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any


def need(
    scenario: Any,
    *,
    positive: Sequence[str] = (),
    not_negative: Sequence[str] = (),
    share: Sequence[str] = (),
    finite: Sequence[str] = (),
    werner: Sequence[str] = (),
    bell: Sequence[str] = (),
) -> None:
    """ValueError for a field of these names that is not what its list says.

    `werner`: the fidelity of a Werner state, 1/4 to 1. `bell`: four probabilities that sum to 1.
    """
    for name in (*positive, *not_negative, *share, *finite, *werner):
        if not isfinite(getattr(scenario, name)):
            raise ValueError(f"{name}: expected a finite number, found {getattr(scenario, name)}")
    for names, low, high, text in (
        (not_negative, 0.0, float("inf"), "a number >= 0"),
        (share, 0.0, 1.0, "a probability"),
        (werner, 0.25, 1.0, "the fidelity of a Werner state, 1/4 to 1"),
    ):
        for name in names:
            if not low <= getattr(scenario, name) <= high:
                raise ValueError(f"{name}: expected {text}, found {getattr(scenario, name)}")
    for name in positive:
        if getattr(scenario, name) <= 0:
            raise ValueError(f"{name}: expected a number > 0, found {getattr(scenario, name)}")
    for name in bell:
        shares = getattr(scenario, name)
        if len(shares) != 4 or not all(0 <= p <= 1 for p in shares) or abs(sum(shares) - 1) > 1e-9:
            raise ValueError(f"{name}: expected four probabilities (Phi+, Phi-, Psi+, Psi-) of sum 1, found {shares}")
