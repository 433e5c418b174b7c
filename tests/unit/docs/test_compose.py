"""deploy/compose.yaml: one service a stratum, each with its own credentials, and commands that quoit understands.

Its shape is checked, not Docker itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from quoit.adapters.stores.memory import MemoryStore
from quoit.cli.commands import app
from quoit.runtime.element import Stratum
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.parts import BY, Cut, Part

DEPLOY = Path(__file__).parents[3] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


@pytest.mark.realises("G3")
@pytest.mark.parametrize("stratum", Stratum)
def test_a_stratum_is_a_service_with_its_own_credentials_alone(stratum: Stratum) -> None:
    service = SERVICES[stratum]
    command, bound, _ = app.parse_args(service["command"], exit_on_error=False, print_error=False)
    assert command.__name__ == "up"
    choice = bound.arguments["apart"]
    assert Part.of(choice.stratum, choice.plane, choice.without) == Part.named(stratum)
    mounts = [mount for mount in service["volumes"] if isinstance(mount, dict)]
    assert [(m["target"], m["volume"]["subpath"]) for m in mounts] == [(str(choice.credentials), f"parts/{stratum}")]
    assert service["image"] == SERVICES["bus"]["image"]
    assert service["network_mode"] == "service:bus"  # all traffic stays on one loopback


def test_all_strata_are_there_and_a_bus_at_the_port_they_call() -> None:
    assert set(SERVICES) == {"bus", *Stratum}
    command, bound, _ = app.parse_args(SERVICES["bus"]["command"], exit_on_error=False, print_error=False)
    assert command.__name__ == "serve_bus"
    assert "port" not in bound.arguments  # the usual one
    assert (DEPLOY / "Containerfile").exists()
    assert not any("ports" in service for service in SERVICES.values())


def test_the_network_that_it_runs_by_default_can_be_cut_so() -> None:
    volume: str = SERVICES["bus"]["volumes"][0]
    given = volume.partition(":-")[2].partition("}")[0]
    network = loads((DEPLOY / given).read_text())
    kernel = assemble(network, Parts(lambda kme: MemoryStore())).kernel
    cut = Cut(network, BY["stratum"], kernel.elements)
    assert {cut(element) for element in kernel.elements} == {0, 1, 2, 3}
