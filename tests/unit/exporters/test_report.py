"""What `quoit run --out` leaves behind: tables that agree with the events, and plots."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from quoit.adapters.exporters.report import TABLES, Recorder
from quoit.cli.main import main

ROOT = Path(__file__).parents[3]
NETWORK = """
quoit: 1
name: report
nodes: {alice: {}, bob: {}}
spans: [{between: [alice, bob], length: 20 km}]
links: [{between: [alice, bob]}]
applications:
  - {sae: alice-app, kme: kme-alice, allow: [bob-app]}
  - {sae: bob-app, kme: kme-bob, allow: [alice-app]}
events:
  - {at: 3s, until: 30s, load: {from: alice-app, to: bob-app, rate: 2 kbit/s}}
  - {at: 8s, until: 12s, attack: {kind: intercept-resend, link: alice--bob, fraction: 0.4}}
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report")
    file = directory / "net.yaml"
    file.write_text(NETWORK)
    with pytest.raises(SystemExit) as end:
        main(["run", str(file), "--until", "40s", "--out", str(directory / "out")])
    assert end.value.code == 0
    return directory / "out"


def rows(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.realises("G1")
def test_every_table_is_there_twice_and_alike(out: Path) -> None:
    for table, columns in TABLES.items():
        text = rows(out / f"{table}.csv")
        columnar = parquet.read_table(out / f"{table}.parquet").to_pylist()
        assert len(text) == len(columnar)
        assert [list(row) for row in text[:1]] in ([], [list(columns)])
        assert [str(row[columns[1]]) for row in columnar] == [row[columns[1]] for row in text]
    assert len(rows(out / "deliveries.csv")) > 100
    assert {row["event"] for row in rows(out / "incidents.csv")} > {"link.quarantined", "link.released", "world.edited"}


def test_plots_are_pictures_and_the_page_shows_them(out: Path) -> None:
    page = (out / "report.md").read_text()
    for stem in ("overview", "rates", "qber", "pools", "keys"):
        assert (out / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (out / f"{stem}.svg").read_text()[:600]
        assert f"({stem}.png)" in page
    assert "| alice--bob | up |" in page


def test_quarantines_have_a_begin_and_an_end() -> None:
    recorder = Recorder()
    recorder.incidents = [
        (1.0, "link.quarantined", "link=a why=x"),
        (2.0, "link.quarantined", "link=b why=x"),
        (5.0, "link.released", "link=a"),
    ]
    assert recorder.quarantines() == [(1.0, 5.0, "a"), (2.0, None, "b")]
