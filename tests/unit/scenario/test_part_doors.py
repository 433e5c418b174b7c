"""Doors of a twin that runs apart: each in a part that can open it, on a port of its own."""

from __future__ import annotations

import pytest

from quoit.scenario.part_doors import Ports, demand, share_out
from quoit.scenario.parts import BY, Part, PartFault

ALL = Ports(management=9001, tapi=9101, agents=9201, orchestration=9301, join=9401)


def test_a_process_a_stratum_opens_the_doors_of_its_stratum() -> None:
    shares = {part.name: ports for part, ports in share_out(BY["stratum"], ALL).items()}
    assert shares == {
        "service": Ports(management=9001, orchestration=9301, join=9401),
        "fabric": Ports(management=9002, agents=9201),
        "connectivity": Ports(management=9003, tapi=9101),
        "engine": Ports(management=9004),
    }
    assert shares["fabric"].arguments == ["--management-port", "9002", "--agents", "9201"]


@pytest.mark.parametrize("by", BY)
def test_every_door_opens_once_and_where_it_may(by: str) -> None:
    shares = share_out(BY[by], Ports(management=0, agents=0, orchestration=0, join=0))
    assert [ports.management for ports in shares.values()] == [0] * len(BY[by])
    for option in ("--agents", "--orchestration-port", "--join-port"):
        assert sum(option in ports.given for ports in shares.values()) == 1
    for part, ports in shares.items():
        demand(part, ports)
    assert len({id(ports) for ports in shares.values()}) == len(BY[by])


@pytest.mark.parametrize("by", ["plane", "cell"])
def test_a_door_that_needs_what_no_part_holds_together_is_refused(by: str) -> None:
    with pytest.raises(PartFault, match=r"--tapi-port: .*connectivity-control and connectivity-resource in one part"):
        share_out(BY[by], Ports(tapi=0))


def test_ports_that_do_not_fit_are_refused_with_those_that_do() -> None:
    with pytest.raises(PartFault, match=r"each of 13 parts .* to 65523, found 65530"):
        share_out(BY["cell"], Ports(management=65530))
    share_out(BY["cell"], Ports(management=65523))


@pytest.mark.parametrize(
    ("part", "ports", "said"),
    [
        ("service", Ports(tapi=0), "--tapi-port: .* part service lacks connectivity-control and connectivity-resource"),
        ("control", Ports(tapi=0), "--tapi-port: .* part control lacks connectivity-resource"),
        ("telemetry", Ports(agents=0), "--agents: .* holds fabric-control, and part telemetry lacks fabric-control"),
        ("without-service-resource", Ports(join=0), "--join-port: .* lacks service-resource"),
    ],
)
def test_a_part_that_cannot_open_a_door_hears_which_can(part: str, ports: Ports, said: str) -> None:
    with pytest.raises(PartFault, match=said):
        demand(Part.named(part), ports)
    demand(Part.named("telemetry"), Ports(management=0, orchestration=0))
