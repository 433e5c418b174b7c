"""One scenario under both choices: figures that agree with what happened, as a table and as JSON, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.cli.coordination import ROWS
from quoit.cli.main import main
from quoit.runtime.trace import Digest
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.coordination_compare import AFTER_NS, Account, Auditor, compare, end_of

S = 10**9
EXAMPLE = Path(__file__).parents[3] / "examples" / "coordination.yaml"
# A cut of the direct link's fibre while little is asked for: only the fabric minds.
SHORT = EXAMPLE.read_text().split("events:")[0] + (
    "events:\n"
    "  - {at: 5s, load: {from: alice-app, to: bob-app, rate: 64 kbit/s, key_size: 32000 bit}}\n"
    "  - {at: 20s, until: 30s, cut: main}\n"
)


@pytest.fixture(scope="module")
def accounts() -> dict[str, Account]:
    return {account.by: account for account in compare(loads(SHORT), 40 * S)}


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    out = capsys.readouterr()
    return int(end.value.code or 0), out.out, out.err


@pytest.mark.realises("D4")
def test_times_are_those_of_the_world(accounts: dict[str, Account]) -> None:
    (by_fabric,), (by_service,) = accounts["fabric"].outages, accounts["service"].outages
    assert (by_fabric.link, by_fabric.why) == (by_service.link, by_service.why) == ("direct", "dark")
    assert 20 * S < by_fabric.began_ns < 20.01 * S
    # Other light: 30 ms of switching, and control's latencies.
    assert by_fabric.moved_ns is not None
    assert 30e6 < by_fabric.moved_ns - by_fabric.began_ns < 100e6
    assert by_fabric.lasted_s == pytest.approx((by_fabric.moved_ns - by_fabric.began_ns) / 1e9, abs=1e-3)
    # Nobody needed it, so that it was dark for as long as the cut took.
    assert by_service.moved_ns is None
    assert by_service.lasted_s == pytest.approx(10.0, abs=0.01)


@pytest.mark.realises("D4")
def test_what_it_cost_is_counted(accounts: dict[str, Account]) -> None:
    fabric, service = (accounts[by].figures() for by in ("fabric", "service"))
    assert (fabric["reconfigurations"], fabric["links_moved"]) == (1, 1)
    assert (service["reconfigurations"], service["links_moved"], service["cross_connects_set"]) == (0, 0, 0)
    assert fabric["cross_connects_set"] == 2, "one at each end: both fibres join the same two nodes"
    assert (fabric["left_alone"], service["left_alone"]) == (0, 1)
    assert fabric["requests_failed"] == service["requests_failed"] == 0
    assert fabric["requests_served"] == service["requests_served"] == 70  # 2 a second for 35 s
    made = fabric["key_made_bits"], service["key_made_bits"]
    assert isinstance(made[0], int)
    assert isinstance(made[1], int)
    assert made[0] > made[1], "a link that is dark for 10 s makes less"
    # Who coordinates speaks to Connectivity, and the other stratum's control does not.
    assert fabric["messages_service_connectivity"] == 0
    assert service["messages_service_connectivity"] > 0  # type: ignore[operator]
    for row in (fabric, service):
        pairs = [row[f"messages_{p}"] for p in ("fabric_connectivity", "service_fabric", "service_connectivity")]
        assert sum(n for n in pairs if isinstance(n, int)) == row["messages"]


def test_whoever_counts_changes_nothing() -> None:
    digests = []
    for counting in (False, True):
        twin = assemble(loads(SHORT), Parts(lambda kme: MemoryStore()))
        digest = Digest()
        twin.kernel.sinks.append(digest)
        if counting:
            Auditor("fabric", twin.kernel)
        world = VirtualWorld(twin.kernel)
        world.begin()
        world.run_until(22 * S)
        digests.append(digest.hexdigest())
    assert digests[0] == digests[1]


def test_the_end_is_after_all_that_the_file_says() -> None:
    network = loads(SHORT)
    assert end_of(network) == network.plant.works[0].until_ns + AFTER_NS == 205 * S


def test_without_a_section_there_is_nothing_to_compare() -> None:
    network = loads(SHORT).model_copy(update={"coordination": None})
    with pytest.raises(ValueError, match="expected a section coordination"):
        next(compare(network))


@pytest.mark.realises("D4")
def test_the_table_and_json_have_all_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], accounts: dict[str, Account]
) -> None:
    file = tmp_path / "short.yaml"
    file.write_text(SHORT)
    asked = ["compare", str(file), "--coordination", "--until", "40s"]
    code, out, _ = told(asked, capsys)
    assert code == 0
    for _, label, _ in ROWS:
        assert label.strip() in out
    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if "│" in line]
    rows = {label: cells for label, *cells in lines}
    assert rows["optical reconfigurations"] == ["1", "0"]
    assert rows["requests failed"] == ["0", "0"]
    assert rows["time to restore, longest s"][1] == "10.000"
    assert rows["from outage to other light, mean s"][1] == "-"
    assert "service: direct dark at 20.0" in out
    code, out, _ = told([*asked, "--json"], capsys)
    found: dict[str, Any] = json.loads(out)
    assert code == 0
    assert {key for key, _, _ in ROWS} <= found["rows"][0].keys()
    # The same seed is played, so the command's figures are the function's.
    for row in found["rows"]:
        expected = accounts[row["by"]].figures()
        assert {key: row[key] for key in expected} == expected
    assert [len(row["out"]) for row in found["rows"]] == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--coordination"], "expected a network file; examples/coordination.yaml is one"),
        (["nowhere.yaml", "--coordination"], "no such file"),
        ([str(EXAMPLE.parent / "coupling.yaml"), "--coordination"], "add 'coordination: {by: fabric}'"),
        ([str(EXAMPLE), "--coordination", "--until", "soon"], "--until: expected a number with a unit"),
        ([str(EXAMPLE), "--coordination", "--until", "0s"], "--until: expected a time above 0"),
        ([str(EXAMPLE), "--coordination", "--pairs", "3"], "--pairs: only of a chain"),
        ([str(EXAMPLE)], "a network file is compared with --coordination"),
        (["--chain", "2", "--until", "3s"], "--until: only of a network"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = told(["compare", *arguments], capsys)
    assert code == 2
    assert says in " ".join(err.split())
