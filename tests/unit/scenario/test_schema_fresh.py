"""The JSON Schema that editors read is the one that the code would print now."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from quoit.scenario.chain import is_chain
from quoit.scenario.check import schema_text

ROOT = Path(__file__).parents[3]
# chain files are another format: tests/unit/scenario/test_chain.py
NETWORKS = sorted(f for f in (ROOT / "examples").glob("*.yaml") if not is_chain(f))
SCHEMA = ROOT / "src" / "quoit" / "scenario" / "network.schema.json"


def test_schema_is_fresh() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), "stale: run `make docs`"


@pytest.mark.parametrize("file", NETWORKS, ids=lambda file: file.stem)
def test_examples_are_valid_by_the_schema_alone(file: Path) -> None:
    network = yaml.safe_load(file.read_text(encoding="utf-8"))
    jsonschema.validate(network, json.loads(schema_text()))


@pytest.mark.parametrize("file", NETWORKS, ids=lambda file: file.stem)
def test_examples_tell_editors_where_the_schema_is(file: Path) -> None:
    first = file.read_text(encoding="utf-8").splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (file.parent / named).resolve() == SCHEMA.resolve()
