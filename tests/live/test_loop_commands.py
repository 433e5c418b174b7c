"""`quoit loops` and `quoit works` against a running twin: what they do, and what they say to bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from quoit.cli.loops import loops_of, works_of
from quoit.cli.show import UserError

pytestmark = pytest.mark.live
NETWORK = """
quoit: 1
name: looped
nodes: {a: {}, b: {}}
spans: [{name: main, between: [a, b], length: 10 km}]
plant: {channels: [{name: old, from: a, spans: [main], frequency: 195 THz, lit: false}]}
links: [{name: link, between: [a, b]}]
loops: {noise: {}, works: {lead: 1h}}
"""


@pytest.mark.realises("G2")
def test_loops_are_listed_and_steered_and_works_planned(tmp_path: Path, live_twin: Any, capsys: Any) -> None:
    file, run = tmp_path / "looped.yaml", tmp_path / "run"
    file.write_text(NETWORK)

    def said(code: int) -> str:
        assert code == 0
        return str(capsys.readouterr().out)

    def loops(order: str, name: str | None = None, as_json: bool = False) -> str:
        return said(loops_of(run, order, name, as_json))

    def works(order: str, name: str | None = None, *plan: str, force: bool = False) -> str:
        spans, at, until = plan or (None, None, None)
        return said(works_of(run, order, name, (spans, at, until), False, "60s", force))

    with live_twin(file, run):
        assert [row["loop"] for row in json.loads(loops("list", as_json=True))] == ["noise:link", "works:link"]
        assert "noise:link" in loops("list")
        assert loops("pause", "noise:link") == "noise:link: paused\n"
        assert loops("dry-run", "works:link") == "works:link: watching (dry run)\n"
        assert loops("resume", "noise:link") == "noise:link: watching\n"
        with pytest.raises(UserError, match="expected an action that waits"):
            loops("approve", "noise:link")
        with pytest.raises(UserError, match="no loop is called 'noise'; known: noise:link, works:link"):
            loops("pause", "noise")
        with pytest.raises(UserError, match="expected the name of a loop"):
            loops("pause")
        assert works("list") == "no works are planned\n"
        with pytest.raises(UserError, match="old cannot give way; say force"):
            works("plan", "dig", "main", "40min", "50min")
        told = "dig: main from 40m 00s to 50m 00s, {}\n"
        announced = works("plan", "dig", "main", "40min", "50min", force=True)
        assert announced == told.format("announced; still there: link")
        with pytest.raises(UserError, match="expected a span of this plant, found 'mian'"):
            works("plan", "dug", "mian", "40min", "50min")
        with pytest.raises(UserError, match="an end after the start"):
            works("plan", "dug", "main", "50min", "40min")
        with pytest.raises(UserError, match="expected --spans"):
            works("plan", "dug")
        with pytest.raises(UserError, match="found 'dug'"):
            works("end", "dug")
        assert works("end", "dig") == told.format("given-back")
        bench = "devices of link from 40m 00s to 50m 00s, announced; still there: link\n"
        assert said(works_of(run, "plan", "bench", (None, "40min", "50min"), False, links="link")) == f"bench: {bench}"
        with pytest.raises(UserError, match="expected a quantum link of this network, found 'lnik'"):
            works_of(run, "plan", "bunch", (None, "40min", "50min"), False, links="lnik")
