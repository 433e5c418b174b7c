"""The graph follows what control says: routes, channels, sessions."""

from __future__ import annotations

from quoit.connectivity.api import CLASSICAL, LIT, OFF, QUANTUM, ChannelRow
from quoit.fabric.api import Flow, Flows, ReservedFlows
from quoit.orchestration.service_graph import AssurancePlan, AssuredLink, ServiceGraph
from quoit.planes.assurance import Impact
from quoit.planes.management import Alarm

PLAN = AssurancePlan(
    (AssuredLink("ab", "a", "b", ("s1",)), AssuredLink("bc", "b", "c", ("s2", "s3"))),
    ("s1", "s2", "s3", "s4"),
    (("kme-a", "a"), ("kme-a2", "a"), ("kme-c", "c")),
)


def flow(links: tuple[str, ...], epoch: int = 1, name: str = "") -> Flow:
    return Flow("a", "c", epoch, ("a", "b", "c") if links else (), links, 0.0, name)


def names(graph: ServiceGraph, of: str) -> set[str]:
    return {name for name, how in graph.needs(of) if how is not Impact.INFORMATIONAL}


def test_a_flow_that_is_lost_keeps_what_it_stood_on() -> None:
    graph = ServiceGraph(PLAN)
    graph.set_flows(Flows((flow(("ab", "bc")),), ()), 0)
    assert names(graph, "flow:a>c") == {"pool:ab", "pool:bc"}
    assert names(graph, "stream:kme-a>kme-c") == {"flow:a>c", "kme:kme-a", "kme:kme-c"}
    assert "stream:kme-a2>kme-c" in graph
    graph.ail("span:s3", "cut", "no light", 100, 1)
    graph.ail("pool:bc", "closed", "empty", 100, 2)
    graph.set_flows(Flows((flow((), 2),), ()), 3)
    standing = graph.standing("stream:kme-a>kme-c")
    assert (standing.health, {cause.about for cause in standing.causes}) == (0, {"span:s3"})
    graph.set_flows(Flows((flow(("ab", "bc"), 3),), ()), 4)
    assert graph.standing("flow:a>c").symptoms == ()


def test_sessions_leave_no_routes_behind() -> None:
    graph = ServiceGraph(PLAN)
    for links in (("ab", "bc"), ("bc",)):
        held = ReservedFlows("s", tuple(flow((link,), 1, f"s/{link}") for link in links))
        graph.set_flows(Flows((), (held,)), 0)
        assert names(graph, "session:s") == {f"route:s/{link}" for link in links}
    assert "route:s/ab" not in graph
    graph.end_session("s")
    graph.end_session("s")
    assert not any(name.startswith(("route:", "session:")) for name in graph.healths())


def test_channels_move_and_go_out() -> None:
    graph = ServiceGraph(PLAN)
    row = ChannelRow("c", CLASSICAL, "a", ("s1", "s2"), 1, 1, 0.0, LIT)
    graph.set_channel(row)
    assert dict(graph.needs("span:s1")) == {"channel:c": Impact.INFORMATIONAL}
    graph.set_channel(ChannelRow("c", CLASSICAL, "a", ("s1", "s2"), 1, 1, None, OFF))
    assert graph.needs("span:s1") == ()
    graph.set_channel(ChannelRow("bc", QUANTUM, "b", ("s4",), 1, 1, None, LIT))
    assert names(graph, "path:bc") == {"span:s4"}


def test_alarms_find_their_objects_and_strangers_are_taken_in() -> None:
    graph = ServiceGraph(PLAN)

    def about(stratum: str, name: str, cause: str = "x") -> str:
        return graph.object_of(Alarm(stratum, name, cause, "minor", "", 0))

    assert about("connectivity", "s1") == "span:s1"
    assert about("fabric", "ab") == "link:ab"
    assert about("fabric", "ab", "quoit_pool_bits") == "pool:ab"
    assert about("service", "kme-a") == "kme:kme-a"
    assert about("service", "kme-a>kme-c#5") == "stream:kme-a>kme-c"
    assert about("service", "kme-a>kme-c!s#5") == "session:s"
    assert about("fabric", "else") == "fabric:else"
    assert graph.kind("fabric:else") == "other"
