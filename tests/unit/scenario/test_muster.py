"""How parts find each other: who is missing, who has to go, who begins when, who has gone and who is back."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from quoit.runtime.element import Element
from quoit.scenario.muster import HEAD_START_NS, LEAVE_NS, SILENT_NS, Go, Hello, Muster, PartRefused, State
from quoit.scenario.parts import CELLS, Holdings


def element(name: str, cell: int, separable: bool = False) -> Element:
    """One of the cell of this number."""
    stratum, plane = CELLS[cell]
    kind = type("Some", (Element,), {"stratum": stratum, "plane": plane, "separable": separable})
    made: Element = kind(name, "here")
    return made


ALL = [str(cell) for cell in CELLS]
HOLDINGS = Holdings(element(name, number) for number, name in enumerate(ALL))
FACTS = {"file": "1", "seed": "7", "keys": "k"}


def hello(part: str, since_ns: int = 0, **fields: object) -> Hello:
    return Hello(part, f"{part}@{since_ns}", since_ns, **({"facts": FACTS} | fields))  # type: ignore[arg-type]


def muster(part: str, since_ns: int = 0) -> Muster:
    return Muster(hello(part, since_ns), HOLDINGS)


def test_all_cells_must_be_held_before_the_first_part_names_the_start() -> None:
    one, other = muster("engine"), muster("service")
    assert one.decide(0, 0) is None
    one.hear("service", other.own, 1)
    one.hear("fabric", hello("fabric"), 1)
    assert one.missing() == [cell for cell in ALL if cell.startswith("connectivity")]
    assert one.decide(2, 0) is None
    one.hear("connectivity", hello("connectivity"), 3)
    go = one.decide(4, 9)
    assert go == Go(
        ("engine", "connectivity", "fabric", "service"),
        ("engine@0", "connectivity@0", "fabric@0", "service@0"), 9, 4 + HEAD_START_NS,
    )  # fmt: skip
    for name in ("engine", "fabric", "connectivity"):
        other.hear(name, hello(name), 5)
    assert other.missing() == []
    assert other.decide(6, 9) is None  # it holds not the first cell
    other.hear("engine", replace(hello("engine"), go=go, state=State.RUNNING), 7)
    assert other.decide(8, 9) == go
    assert other.admit(go) == 0


@pytest.mark.parametrize(("fact", "word"), [("file", "network file"), ("seed", "--seed"), ("keys", "root of keys")])
def test_of_two_that_differ_the_later_one_goes_and_hears_why(fact: str, word: str) -> None:
    early, late = muster("engine", 1), muster("service", 2)
    late.own = replace(late.own, facts=FACTS | {fact: "other"})
    early.hear("service", late.own, 3)
    assert word in early.quarrels["service"]
    assert "service" not in early.seen
    with pytest.raises(PartRefused, match=f"part engine was started with another {word}.*: {FACTS[fact]} there, other"):
        late.hear("engine", early.own, 3)


def test_one_that_runs_is_before_all_that_wait_however_long() -> None:
    waiting = muster("service", 1)
    waiting.own = replace(waiting.own, facts=FACTS | {"seed": "8"})
    with pytest.raises(PartRefused, match="--seed"):
        waiting.hear("engine", hello("engine", 5, go=Go((), (), 0, 0), state=State.RUNNING), 6)


def test_a_fact_that_a_part_does_not_know_is_no_difference() -> None:
    """Parts without resources have no root of keys."""
    one = Muster(replace(hello("control"), facts=FACTS | {"keys": ""}), HOLDINGS)
    one.hear("resource", hello("resource"), 1)
    assert "resource" in one.seen


@pytest.mark.parametrize("other", ["service", "service-control", "control", "without-fabric"])
def test_a_cell_is_held_once(other: str) -> None:
    late = muster("service", 2)
    with pytest.raises(PartRefused, match=f"service-control.* would be held twice: here and by part {other}"):
        late.hear(other, hello(other, 1), 3)
    early = muster("service", 0)
    early.hear(other, hello(other, 1), 3)
    assert other not in early.seen


def test_nobody_speaks_as_another_part() -> None:
    one = muster("engine")
    one.hear("fabric", hello("service"), 1)
    assert not one.seen
    assert one.quarrels == {"fabric": "fabric says that it is service"}


def running() -> tuple[Muster, Go]:
    one = muster("resource")
    for name in ("control", "management", "telemetry"):
        one.hear(name, hello(name), 0)
    go = one.decide(0, 0)
    assert go is not None
    for name in ("control", "management", "telemetry"):
        one.hear(name, hello(name, go=go, state=State.RUNNING), 1)
    return one, go


def test_silence_is_loss_and_is_told_once() -> None:
    one, _ = running()
    assert one.silent(SILENT_NS) == []
    one.hear("control", replace(one.seen["control"].hello), SILENT_NS)
    assert {s.hello.part for s in one.silent(SILENT_NS + 2)} == {"management", "telemetry"}
    assert one.silent(SILENT_NS + 3) == []
    assert all(cell.partition("-")[2] in ("management", "telemetry") for cell in one.missing())


def test_one_that_says_good_bye_is_lost_soon_and_one_that_has_finished_never() -> None:
    one, _ = running()
    one.hear("control", replace(one.seen["control"].hello, state=State.LEAVING), 10)
    one.hear("telemetry", replace(one.seen["telemetry"].hello, state=State.FINISHED), 10)
    one.hear("management", one.seen["management"].hello, 10)
    assert one.silent(10 + LEAVE_NS) == []
    assert [s.hello.part for s in one.silent(11 + LEAVE_NS)] == ["control"]
    assert [s.hello.part for s in one.silent(11 + SILENT_NS)] == ["management"]


def test_control_comes_back_to_a_later_life() -> None:
    one, go = running()
    new = Muster(hello("control", 50), HOLDINGS)
    new.hear("resource", replace(one.own, go=go, state=State.RUNNING, lives={"control": 2}), 51)
    assert new.decide(52, 0) == go
    assert new.admit(go) == 3
    back = replace(new.own, go=go, state=State.RUNNING, lives={"control": 3})
    assert one.hear("control", back, 53) is None  # the old one is still heard of
    one.hear("management", one.seen["management"].hello, SILENT_NS)
    one.silent(SILENT_NS + 2)
    found = one.hear("control", back, SILENT_NS + 3)
    assert found is not None
    assert found.hello.life == 3
    assert one.hear("control", back, SILENT_NS + 4) is None
    assert "control" not in {s.hello.part for s in one.silent(SILENT_NS + 5)}


def test_resources_do_not_come_back_nor_do_parts_that_were_not_there() -> None:
    _, go = running()
    told = hello("control", go=go, state=State.RUNNING)
    new = Muster(hello("resource", 50), HOLDINGS)
    new.hear("control", told, 51)
    with pytest.raises(PartRefused, match=r"resource held resources.*start all parts anew"):
        new.admit(go)
    stranger = Muster(hello("fabric-resource", 50), HOLDINGS)
    with pytest.raises(PartRefused, match=r"runs already, in the parts resource, control.*fabric-resource is none"):
        stranger.admit(go)
