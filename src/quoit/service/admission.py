"""Admission: whether the network can give the quality that is asked for (C6)."""

from __future__ import annotations

from quoit.model.problem import Problem


def admit(asked_bps: float | None, offered_bps: float) -> None:
    """Return if the rate can be given. Problem `not-admitted`, with the rate that could be, if not."""
    if asked_bps is not None and asked_bps > offered_bps:
        raise Problem(
            "not-admitted",
            f"{asked_bps:.0f} bit/s are asked, the network can give {offered_bps:.0f} bit/s now",
            offered_bps=offered_bps,
        )
