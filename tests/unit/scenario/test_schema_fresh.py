"""The JSON Schemas that editors read are the ones that the code would print now."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from quoit.scenario import check
from quoit.scenario.attacks import check as attacks
from quoit.scenario.chain import is_chain
from quoit.scenario.sweep import check as sweeps

ROOT = Path(__file__).parents[3]
TEXTS = {"network": check.schema_text, "sweep": sweeps.schema_text, "attack": attacks.schema_text}
# chain files are another format: tests/unit/scenario/test_chain.py
NETWORKS = sorted(f for f in (ROOT / "examples").glob("*.yaml") if not is_chain(f))
NETWORKS += sorted((ROOT / "examples" / "attacks").glob("*.yaml"))


def schema(kind: str) -> Path:
    return ROOT / "src" / "quoit" / "scenario" / f"{kind}.schema.json"


def kind_of(file: Path) -> str:
    if attacks.is_attack(file):
        return "attack"
    return "sweep" if file.stem.startswith("sweep-") else "network"


@pytest.mark.parametrize("kind", TEXTS)
def test_schema_is_fresh(kind: str) -> None:
    assert schema(kind).read_text(encoding="utf-8") == TEXTS[kind](), "stale: run `make docs`"


@pytest.mark.parametrize("file", NETWORKS, ids=lambda file: file.stem)
def test_examples_are_valid_by_the_schema_alone(file: Path) -> None:
    network = yaml.safe_load(file.read_text(encoding="utf-8"))
    jsonschema.validate(network, json.loads(TEXTS[kind_of(file)]()))


@pytest.mark.parametrize("file", NETWORKS, ids=lambda file: file.stem)
def test_examples_tell_editors_where_the_schema_is(file: Path) -> None:
    first = file.read_text(encoding="utf-8").splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (file.parent / named).resolve() == schema(kind_of(file)).resolve()
