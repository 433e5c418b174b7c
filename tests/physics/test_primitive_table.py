"""The table of primitives: every row in every formalism gives the same distribution of outcomes and states, to 1e-9."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from primitive_cases import A, B, Case, acting, anything, assert_same, law, pairs

from quoit.engine.primitives import PRIMITIVES, Call
from quoit.engine.states import density as dm
from quoit.engine.states import stabilizer
from quoit.engine.states.bell import werner
from quoit.engine.states.device import DeviceNoise
from quoit.engine.states.forms import BellForm, DensityForm
from quoit.engine.states.refusal import Unsupported

CASES = acting()
WITHOUT_STATE = {"open-attempt", "close-attempt", "send", "herald", "init"}
needs_stim = pytest.mark.skipif(not stabilizer.available(), reason="stim is not installed: pip install quoit[stim]")


def by_name(case: Case) -> str:
    return case.name


@pytest.mark.realises("F6")
def test_every_row_has_a_case_and_says_all() -> None:
    assert {case.row.name for case in CASES} | WITHOUT_STATE == set(PRIMITIVES)
    for name, row in PRIMITIVES.items():
        assert row.name == name
        assert all((row.help, row.source, row.duration, row.noise, row.density)), name
        assert all(argument.help for argument in row.arguments), name


@pytest.mark.realises("F6")
@pytest.mark.parametrize("case", [case for case in CASES if case.row.bell is not None], ids=by_name)
def test_pairs_and_matrices_agree(case: Case) -> None:
    form = pairs(case)
    memory = case.values.get("memory")
    if memory is not None and not memory.is_pauli:
        with pytest.raises(Unsupported, match="T1"):
            law(case, form)
        return
    assert_same(law(case, form), law(case, DensityForm(form.matrix())), case.name)


@pytest.mark.parametrize("case", [case for case in CASES if case.row.bell is None], ids=by_name)
def test_what_pairs_cannot_do_they_refuse(case: Case) -> None:
    with pytest.raises(Unsupported):
        law(case, pairs(case))


@needs_stim
@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_tableaus_and_matrices_agree_exactly_without_noise(case: Case) -> None:
    """From each Bell state, or each product of two; refused are T, other angles, and what is no Pauli noise."""
    case = case.perfect()
    for which in itertools.product(range(4), repeat=case.held // 2):
        form = pairs(case, tuple(tuple(float(k == w) for k in range(4)) for w in which))
        tableau = form.tableau(np.random.default_rng(1))
        if _beyond_clifford(case):
            with pytest.raises(Unsupported):
                law(case, tableau)
        else:
            matrix = DensityForm(form.matrix())
            twirled = case
            if "memory" in case.values:
                twirled = replace(case, values={**case.values, "memory": replace(case.values["memory"], twirled=True)})
            assert_same(law(case, tableau), law(twirled, matrix), case.name)


def _beyond_clifford(case: Case) -> bool:
    angle, basis = case.values.get("angle_rad", 0.0), case.values.get("basis", "Z")
    return case.row.stabilizer is None or angle == 0.7 or basis == (0.7, 0.3)


def _one_error_at_a_time(case: Case) -> list[Case]:
    """Each source of error alone, since all together have more branches than can be followed."""
    cases = []
    for field in ("p1", "p2", "readout", "bell_success"):
        only = [DeviceNoise(**{field: getattr(device, field)}) for device in case.devices]
        if any(device != DeviceNoise() for device in only):
            cases.append(replace(case, devices=tuple(only)))
    return cases


@needs_stim
@pytest.mark.parametrize("case", [case for case in CASES if not _beyond_clifford(case)], ids=by_name)
def test_all_trajectories_together_are_the_matrix(case: Case) -> None:
    """Every branch of every error is followed, so this is exact too."""
    form = pairs(case, ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)))
    tableau = form.tableau(np.random.default_rng(1))
    if "memory" in case.values:
        case = replace(case, values={**case.values, "memory": replace(case.values["memory"], twirled=True)})
    for noisy in _one_error_at_a_time(case):
        if "purify" in case.row.name:  # one end at a time
            ends = [(noisy.devices[0], DeviceNoise()) * 2, (DeviceNoise(), noisy.devices[1]) * 2]
        else:
            ends = [noisy.devices]
        for devices in ends:
            one = replace(noisy, devices=devices)
            assert_same(law(one, tableau), law(one, DensityForm(form.matrix())), one.name)


def test_herald_makes_the_state_that_is_given() -> None:
    run = PRIMITIVES["herald"].run
    rng = np.random.default_rng(1)
    vector = (0.7, 0.15, 0.1, 0.05)
    for state in (vector, dm.from_bell(vector)):
        form = run(None, (), Call((), {"state": state}, rng)).form
        assert isinstance(form, BellForm)
        assert form.pairs[0] == pytest.approx(vector, abs=1e-12)
    other = anything(CASES[0]).rho
    form = run(None, (), Call((), {"state": other}, rng)).form
    assert isinstance(form, DensityForm)
    assert np.abs(form.rho - other).max() < 1e-12
    for bad in ((0.5, 0.2, 0.2, 0.2), (1.2, -0.2, 0.0, 0.0), np.diag([0.5, 0.5, 0.5, -0.5]), np.ones((3, 3)) / 3):
        with pytest.raises(ValueError, match="expected"):
            run(None, (), Call((), {"state": bad}, rng))


def test_init_makes_zero() -> None:
    form = PRIMITIVES["init"].run(None, (), Call((A,), {}, np.random.default_rng(1))).form
    assert form is not None
    assert np.abs(form.matrix() - np.diag([1.0, 0.0])).max() == 0


@pytest.mark.parametrize("name", ["open-attempt", "close-attempt", "send"])
def test_what_no_state_sees(name: str) -> None:
    form = BellForm([werner(0.9)])
    effect = PRIMITIVES[name].run(form, (), Call((), {}, np.random.default_rng(1)))
    assert (effect.form, effect.left, effect.bits) == (form, (0, 1), ())


def test_durations_follow_the_device() -> None:
    device = DeviceNoise(init_ns=1, gate1_ns=10, gate2_ns=100, readout_ns=1000)
    values = {"elapsed_ns": 7, "delay_ns": 9}
    found = {name: row.duration_ns(device, values) for name, row in PRIMITIVES.items()}
    one = dict.fromkeys(("X", "Y", "Z", "H", "S", "SDG", "T", "RX", "RY", "RZ"), 10)
    two = dict.fromkeys(("CNOT", "CZ", "SWAP", "move"), 100)
    none = dict.fromkeys(("open-attempt", "close-attempt", "herald", "correct", "discard"), 0)
    assert found == one | two | none | {
        "init": 1,
        "measure": 1000,
        "bell-measure": 1110,
        "purify-bbpssw": 1100,
        "purify-dejmps": 1110,
        "fuse": 1100,
        "wait": 7,
        "send": 9,
    }


@pytest.mark.parametrize("name", ["purify-bbpssw", "purify-dejmps"])
def test_the_closed_form_is_for_two_pairs_alone(name: str) -> None:
    """Pairs that lie across, or within one end, or a third one, go through the circuit."""
    for qubits, held in (((0, 2, 1, 3), 4), ((0, 3, 2, 1), 4), ((0, 1, 2, 4), 6)):
        case = Case(PRIMITIVES[name], {}, qubits, (A, B, A, B), held)
        with pytest.raises(Unsupported, match="two pairs"):
            law(case, BellForm([werner(0.9)] * (held // 2)))


def test_an_end_of_its_own_noise_matters() -> None:
    """The comparison would notice two ends mixed up: their laws differ."""
    case = next(case for case in CASES if case.row.name == "purify-dejmps")
    swapped = replace(case, devices=(DeviceNoise(), B) * 2)
    assert law(swapped, pairs(case))[((0, 0), True)][0] != pytest.approx(law(case, pairs(case))[((0, 0), True)][0])
