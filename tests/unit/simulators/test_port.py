"""Scenarios and results hold only what can be, and results are compared as their errors allow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from quoit.engine.simulators.native import NativeSimulator
from quoit.engine.simulators.port import (
    KINDS,
    Bb84,
    Capabilities,
    Chain,
    Dejmps,
    Figure,
    Ghz,
    Pair,
    Result,
    SwapTwo,
    Teleport,
    Wait,
)
from quoit.engine.simulators.suite import CASES, Allowed, Case, compared, shortened

ONE = (0.9, 0.05, 0.03, 0.02)


@pytest.mark.parametrize(
    ("kind", "arguments", "field"),
    [
        (Pair, {"length_km": 0, "fidelity": 0.9, "duration_s": 1}, "length_km"),
        (Pair, {"length_km": 1, "fidelity": 0.2, "duration_s": 1}, "fidelity"),
        (Pair, {"length_km": 1, "fidelity": float("nan"), "duration_s": 1}, "fidelity"),
        (Pair, {"length_km": 1, "fidelity": 0.9, "duration_s": 1, "detector": 1.2}, "detector"),
        (Wait, {"fidelity": 0.9, "wait_s": -1, "pauli_hz": 1}, "wait_s"),
        (SwapTwo, {"left": ONE, "right": (0.5, 0.5, 0.5, 0.5)}, "right"),
        (Dejmps, {"kept": (1.1, -0.1, 0.0, 0.0), "spent": ONE}, "kept"),
        (Chain, {"hops": 3, "hop_km": 1, "fidelity": 0.9, "duration_s": 1}, "hops"),
        (Bb84, {"length_km": 1, "duration_s": 1, "dark_hz": -1}, "dark_hz"),
        (Ghz, {"parties": 2, "fidelity": 0.9}, "parties"),
        (Teleport, {"fidelity": 0.9, "polar_rad": float("inf")}, "polar_rad"),
        (Teleport, {"fidelity": 0.9, "shots": 0}, "shots"),
    ],
)
def test_a_scenario_that_cannot_be_is_refused(kind: Any, arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: expected .*found"):
        kind(**arguments)


def test_a_result_accounts_for_every_figure() -> None:
    half = Figure(0.5)
    assert Result("x", "1", "teleport", {"state_fidelity": half})
    assert Result("x", "1", "teleport", {}, {"state_fidelity": "no"})
    for figures, missing in (
        ({}, {}),
        ({"state_fidelity": half}, {"state_fidelity": "no"}),
        ({"fidelity": half}, {"state_fidelity": "no"}),
        ({}, {"state_fidelity": ""}),
    ):
        with pytest.raises(ValueError, match="expected"):
            Result("x", "1", "teleport", figures, missing)
    with pytest.raises(ValueError, match="kind"):
        Result("x", "1", "tea")


def test_capabilities_name_kinds_that_are() -> None:
    with pytest.raises(ValueError, match="tea"):
        Capabilities("x", "1", (), (), ("tea",), True, True, "process")


def test_the_suite_has_every_kind_with_noise_and_without() -> None:
    assert {case.scenario.kind for case in CASES} == set(KINDS)
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.scenario.kind for case in CASES if case.name.endswith("-perfect")} == set(KINDS) - {"wait"}


def differing(one: Figure, other: Figure, allowed: float = 0.0) -> bool:
    case = Case("c", Teleport(0.9), {"state_fidelity": Allowed(allowed, "why")} if allowed else {})
    (found,) = compared(case, *(Result("x", "1", "teleport", {"state_fidelity": f}) for f in (one, other)))
    return not found.agree


def test_figures_agree_within_four_joint_errors_and_the_allowance() -> None:
    assert not differing(Figure(0.5, 0.03), Figure(0.5 + 4 * 0.05 - 1e-6, 0.04))
    assert differing(Figure(0.5, 0.03), Figure(0.5 + 4 * 0.05 + 1e-6, 0.04))
    assert differing(Figure(0.5), Figure(0.500001))
    assert not differing(Figure(0.5), Figure(0.5 + 1e-12))
    assert not differing(Figure(0.99), Figure(1.0), 0.02)
    assert differing(Figure(0.97), Figure(1.0), 0.02)


def test_a_figure_that_one_of_them_lacks_is_not_compared() -> None:
    case = Case("c", Teleport(0.9))
    lacking = Result("x", "1", "teleport", {}, {"state_fidelity": "no"})
    assert compared(case, lacking, Result("y", "1", "teleport", {"state_fidelity": Figure(1.0)})) == ()


def test_shorter_cases_are_shorter_and_have_larger_errors() -> None:
    native = NativeSimulator()
    case = next(case for case in CASES if case.name == "bb84")
    (short,) = shortened([case], 0.1)
    assert short.allowed == case.allowed
    assert short.scenario == replace(case.scenario, duration_s=0.1, shots=10)
    errors = [native.play(c.scenario, 1.0).figures["qber"].sigma for c in (case, short)]
    assert errors[1] > 2 * errors[0]


def test_a_wrong_model_would_be_noticed() -> None:
    """Of each kind, a scenario a little off is found to differ: the bounds are not so wide that all agrees."""
    native = NativeSimulator()
    off: dict[str, dict[str, Any]] = {
        "pair": {"detector": 0.8},
        "wait": {"wait_s": 0.1001},
        "swap": {"left": (0.90, 0.05, 0.02, 0.03)},
        "dejmps": {"spent": (0.80, 0.10, 0.04, 0.06)},
        "chain-2": {"pauli_hz": 1.2},
        "chain-4": {"fidelity": 0.985},
        "bb84": {"misalignment": 0.02},
        "ghz-3": {"fidelity": 0.9501},
        "teleport": {"fidelity": 0.9001},
    }
    for case in CASES:
        if case.name in off:
            wrong = native.play(replace(case.scenario, **off[case.name]), 1.0)
            assert not all(c.agree for c in compared(case, native.play(case.scenario, 1.0), wrong)), case.name


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        (Pair(20, 0.9, 0.01), "too few for a standard error"),
        (Chain(2, 20, 0.9, 0.01), "too few for a standard error"),
        (Bb84(400, 0.001), "no bit was sifted"),
    ],
)
def test_a_run_too_short_for_figures_says_so(scenario: Any, reason: str) -> None:
    found = NativeSimulator().play(scenario, 1.0)
    assert not found.figures
    assert all(reason in why for why in found.missing.values())


def test_the_closed_forms_are_met() -> None:
    """Formulas of the literature, not quoit's own: Werner swaps, Horodecki's teleportation fidelity (2 F + 1)/3."""
    native = NativeSimulator()
    assert native.play(Teleport(0.85), 1.0).figures["state_fidelity"].value == pytest.approx((2 * 0.85 + 1) / 3)
    for hops in (2, 4):
        w = ((4 * 0.97 - 1) / 3) ** hops
        found = native.play(Chain(hops, 20, 0.97, 2.0), 1.0).figures
        assert found["fidelity"].value == pytest.approx((1 + 3 * w) / 4, abs=1e-12)
        assert found["error_z"].value == pytest.approx((1 - w) / 2, abs=1e-12)
