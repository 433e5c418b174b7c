"""What orchestration answers to, and the news it gives. The only door into it.

Times are nanoseconds since the scenario's start. An intent says what is wanted of a unit and not how (RFC 9315);
its states are acknowledged, inProgress, active, degraded, failed and terminated.
"""

from __future__ import annotations

from quoit.connectivity.api import ChannelRow, NodeRow, ServiceRow, SpanPlan, SpanRow
from quoit.fabric.api import Flow, LinkRow
from quoit.planes.management import Alarm
from quoit.runtime.wire import Message, message
from quoit.service.api import ApplicationRow, KmeState

INTENT_NEWS = "orchestration.intent"
"""Subjects are `orchestration.intent.<intent>`."""
WORKS_NEWS = "orchestration.works"
NODE_NEWS = "orchestration.node"
"""Subjects are `orchestration.node.<node>`."""


def orchestrator(domain: str = "") -> str:
    """Name of the orchestrator: of all domains, or of one among its peers."""
    return f"orchestration.orchestrator:{domain}" if domain else "orchestration.orchestrator"


INTENTS = "orchestration.intents"

# -- intents ----------------------------------------------------------------------------------------------

KEY, ENTANGLED = "key", "entangled"
ACKNOWLEDGED, IN_PROGRESS, ACTIVE, DEGRADED = "acknowledged", "inProgress", "active", "degraded"
FAILED, TERMINATED = "failed", "terminated"
STATES = (ACKNOWLEDGED, IN_PROGRESS, ACTIVE, DEGRADED, FAILED, TERMINATED)
REROUTE, HYBRID, NOTIFY = "reroute", "degrade-to-hybrid", "notify"


class Targets(Message):
    """What the unit must be like. None: no matter. `most_transit`: trusted nodes on one route (0: none). `disjoint`:
    routes that share no node between their ends. `availability`: share of the time that all else is met."""

    rate_bps: float | None = None
    latency_ns: int | None = None
    fidelity: float | None = None
    availability: float | None = None
    most_transit: int | None = None
    avoid: tuple[str, ...] = ()
    disjoint: int = 1


class Expression(Message):
    """`endpoints`: SAE IDs or endpoint URNs; the first one opens the keys or the units. `states`: of entanglement, how
    many at a time. `on_violation`: reroute, degrade-to-hybrid or notify."""

    endpoints: tuple[str, ...]
    kind: str
    targets: Targets
    on_violation: str = REROUTE
    states: int = 1


class Decision(Message):
    """Why something is as it is. `step`: understood, chosen, done, refused, observed or not-had."""

    at_ns: int
    step: str
    text: str


@message("orchestration.CreateIntent")
class CreateIntent(Message):
    """State an intent. `intent_id` is a random version-4 UUID drawn at the edge. Answered with `Intent`, acknowledged;
    problems: `malformed`, `unit-exists`, `overloaded`."""

    intent_id: str
    name: str
    expression: Expression
    description: str = ""
    priority: int = 0
    owner: str = ""
    ends_ns: int | None = None


@message("orchestration.GetIntent")
class GetIntent(Message):
    intent_id: str


@message("orchestration.ListIntents")
class ListIntents(Message):
    """The oldest first. Answered with `Intents`."""

    state: str | None = None
    offset: int = 0
    limit: int = 100


@message("orchestration.ReviseIntent")
class ReviseIntent(Message):
    """Another name, description or expression; None: as it is. With an expression, what was set up is ended and the
    new one set up. Answered with `Intent`; problems `unknown-intent`, `intent-over`."""

    intent_id: str
    name: str | None = None
    description: str | None = None
    expression: Expression | None = None


@message("orchestration.EndIntent")
class EndIntent(Message):
    """Terminate; `remove`: forget it too. Answered with `Intent`."""

    intent_id: str
    remove: bool = False


@message("orchestration.Intent")
class Intent(Message):
    """`version` counts expressions. `resources`: what it stands on now, as names. `decisions`: the last ones, oldest
    first."""

    intent_id: str
    name: str
    description: str
    expression: Expression
    priority: int
    owner: str
    state: str
    version: int
    created_ns: int
    changed_ns: int
    ends_ns: int | None
    why: str
    resources: tuple[str, ...]
    decisions: tuple[Decision, ...]


@message("orchestration.Intents")
class Intents(Message):
    """`total`: how many there are without offset and limit."""

    intents: tuple[Intent, ...]
    total: int


class Figure(Message):
    """A figure of a report. `met` None: there was nothing to measure, or nothing is asked of it. `what`: how it was
    measured."""

    name: str
    unit: str
    target: float | None
    measured: float | None
    met: bool | None
    what: str


@message("orchestration.Report")
class Report(Message):
    """What an intent's service was like from `from_ns` to `at_ns`; news, too."""

    report_id: str
    intent_id: str
    number: int
    from_ns: int
    at_ns: int
    state: str
    figures: tuple[Figure, ...]
    why: str


@message("orchestration.GetReports")
class GetReports(Message):
    """Reports of an intent, the newest first; `report_id`: that one. Answered with `Reports`."""

    intent_id: str
    report_id: str | None = None
    offset: int = 0
    limit: int = 20


@message("orchestration.Reports")
class Reports(Message):
    reports: tuple[Report, ...]
    total: int


@message("orchestration.IntentChanged")
class IntentChanged(Message):
    """News: an intent is new, in another state, revised, or removed (`what`: created, state, revised, removed)."""

    what: str
    intent: Intent


OPTICAL = "orchestration.optical"
"""Who asks the optical network's controller for light, where there is one."""


@message("orchestration.RequestOpticalService")
class RequestOpticalService(Message):
    """No link leads from node `a` to node `b` for this intent: have light for those that could. `most_transit` and
    `avoid`: as of the intent's targets. `short`: links lead there, and their rate is too small.

    Answered with `OpticalServices` when the links have light and are enabled. Problems: `no-route` with what stands in
    the way, those of `connectivity.OpenService` and `fabric.EnableLink`. Asking again takes nothing twice."""

    intent_id: str
    a: str
    b: str
    why: str
    most_transit: int | None = None
    avoid: tuple[str, ...] = ()
    short: bool = False


@message("orchestration.ReleaseOpticalServices")
class ReleaseOpticalServices(Message):
    """An intent needs its light no more. What no other intent needs is given back. Answered with `OpticalServices`:
    those that were."""

    intent_id: str


@message("orchestration.GetOpticalServices")
class GetOpticalServices(Message):
    """What an intent has, as the optical network's controller says it now. Answered with `OpticalServices`."""

    intent_id: str


class OpticalService(Message):
    """Light that was asked for. `service`: its name there; `link`: whose quantum channel it carries. `state` is its
    lifecycle, `enabled` whether light goes through; `companion_mhz` None: it has no companion."""

    service: str
    link: str
    state: str
    enabled: bool
    spans: tuple[str, ...]
    centre_mhz: int
    companion_mhz: int | None = None
    note: str = ""


@message("orchestration.OpticalServices")
class OpticalServices(Message):
    rows: tuple[OpticalService, ...]


# -- the view ---------------------------------------------------------------------------------------------


@message("orchestration.GetView")
class GetView(Message):
    """What is there? `asking`: the domain whose orchestrator asks; it gets what other domains may know, and nobody
    else is asked for it. Answered with `View`."""

    asking: str | None = None


class DomainRow(Message):
    """`mode`: own (its controllers were asked) or peer (its orchestrator was). `silent`: who did not answer."""

    name: str
    prefix: str
    mode: str
    silent: tuple[str, ...] = ()


class QuantumNode(Message):
    """`joined` False: planned, and its token has not been used. `kind`: endpoint (a KME is there) or relay."""

    node: str
    domain: str
    kind: str
    kmes: tuple[str, ...]
    joined: bool
    interfaces: tuple[str, ...]


@message("orchestration.View")
class View(Message):
    """One picture of all strata, as their controllers and meters answered between `from_ns` and `at_ns`."""

    from_ns: int
    at_ns: int
    domains: tuple[DomainRow, ...]
    nodes: tuple[QuantumNode, ...]
    links: tuple[LinkRow, ...]
    flows: tuple[Flow, ...]
    waiting: tuple[str, ...]
    kmes: tuple[KmeState, ...]
    applications: tuple[ApplicationRow, ...]
    spans: tuple[SpanPlan, ...]
    lights: tuple[SpanRow, ...]
    optics: tuple[NodeRow, ...]
    channels: tuple[ChannelRow, ...]
    alarms: tuple[Alarm, ...]
    services: tuple[ServiceRow, ...] = ()


class Works(Message):
    """Works that are planned on a span (or several, parted by blanks), a node or a link, by the side that announced
    them (`optical`, `quantum`). `links`: quantum links that they touch, as the inventory says; `state`, `moved` and
    `stuck`: how the calendar has them (`connectivity.WorksRow`). Of an announcement these four are not read."""

    works_id: str
    side: str
    kind: str
    target: str
    from_ns: int
    until_ns: int
    text: str
    links: tuple[str, ...] = ()
    force: bool = False
    lead_ns: int = 60_000_000_000
    state: str = ""
    moved: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()


@message("orchestration.PlanWorks")
class PlanWorks(Message):
    """Either side says what it is going to do, or (of the same identifier) what it will do instead. It goes into the
    one calendar, which is Connectivity's. Answered with `WorksAnnounced`; problems `malformed`, `no-such-element`,
    `cannot-give-way`, `switching`, `overloaded`."""

    works: Works


@message("orchestration.WithdrawWorks")
class WithdrawWorks(Message):
    """Take works out of the calendar, or end them early. Answered with `WorksAnnounced`; Problem `no-such-data`."""

    works_id: str


@message("orchestration.WorksAnnounced")
class WorksAnnounced(Message):
    """News of the calendar, whoever announced: works are planned, or in another state, or (`withdrawn`) taken out
    before their end. `by`: the orchestrator that tells it. Also the answer to whoever planned or withdrew them."""

    works: Works
    at_ns: int
    withdrawn: bool = False
    by: str = ""


@message("orchestration.GetWorksCalendar")
class GetWorksCalendar(Message):
    """What is planned, by either side? Answered with `WorksCalendar`, soonest first."""


@message("orchestration.WorksCalendar")
class WorksCalendar(Message):
    """Works that are not over."""

    works: tuple[Works, ...]


LINK_SEEN = "orchestration.link"
"""Subjects are `orchestration.link.<link>`."""


@message("orchestration.LinkSeen")
class LinkSeen(Message):
    """News: a physical link's state changed. `state`: dark, lit, quarantined or released."""

    link: str
    state: str
    why: str
    at_ns: int


SPAN_SEEN = "orchestration.span"
"""Subjects are `orchestration.span.<span>`."""


@message("orchestration.SpanSeen")
class SpanSeen(Message):
    """News: a span of the optical side is dark or lit again. `links`: whose quantum light goes over it."""

    span: str
    state: str
    links: tuple[str, ...]
    at_ns: int


# -- service links: applications, candidate paths, deployment ----------------------------------------------

SERVICE_LINKS = "orchestration.service-links"


@message("orchestration.RegisterApplication")
class RegisterApplication(Message):
    """`app` is to open keys that it shares with `peer`. Answered with `ServiceLink`, registered; registering it anew
    changes peer and rate until it is deployed. Problems `unknown-sae`, `malformed`, `unit-exists`, `overloaded`."""

    app: str
    peer: str
    rate_bps: float
    priority: int = 0


@message("orchestration.CreateServiceLink")
class CreateServiceLink(Message):
    """Give the registered application's link an identifier: a random version-4 UUID drawn at the edge. Answered with
    `ServiceLink`; it keeps the identifier that it has."""

    app: str
    link_id: str


@message("orchestration.FindCandidates")
class FindCandidates(Message):
    """Ways over physical links that could carry it: fewest links first, then the widest. `include`: nodes that must be
    on them. Answered with `ServiceLink`; Problem `no-route` if there is none."""

    link_id: str
    number: int = 3
    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    most_transit: int | None = None


@message("orchestration.DeployCandidate")
class DeployCandidate(Message):
    """Make the service link stand on this candidate. Answered with `ServiceLink`; problems of the session that is
    opened."""

    link_id: str
    number: int


@message("orchestration.ReleaseServiceLink")
class ReleaseServiceLink(Message):
    """Its session is closed, and its application forgotten. Answered with `ServiceLink`."""

    link_id: str


@message("orchestration.GetServiceLinks")
class GetServiceLinks(Message):
    """Answered with `ServiceLinks`."""


class Candidate(Message):
    """`bps`: secret key rate of its narrowest link's last block."""

    number: int
    nodes: tuple[str, ...]
    links: tuple[str, ...]
    bps: float


@message("orchestration.ServiceLink")
class ServiceLink(Message):
    """`state`: registered, linked, deployed or lost. `route`: nodes of the route that stands."""

    link_id: str
    app: str
    peer: str
    local: str
    remote: str
    kme: str
    rate_bps: float
    priority: int
    state: str
    candidates: tuple[Candidate, ...] = ()
    deployed: int | None = None
    route: tuple[str, ...] = ()


@message("orchestration.ServiceLinks")
class ServiceLinks(Message):
    links: tuple[ServiceLink, ...]


# -- nodes that join --------------------------------------------------------------------------------------


class Interface(Message):
    """A quantum interface as the device itself reports it. `role`: sender or receiver."""

    name: str
    link: str
    role: str
    protocol: str


@message("orchestration.RegisterNode")
class RegisterNode(Message):
    """A node whose token was good says what it has. It is linked and its applications are admitted. Answered with
    `NodeJoined`; problems `not-joining`, `malformed`."""

    node: str
    interfaces: tuple[Interface, ...]


@message("orchestration.NodeJoined")
class NodeJoined(Message):
    """News, and the answer. `links`: commissioned; `waiting`: their other ends have not joined; `unplanned`:
    interfaces that no planned link explains, left alone."""

    node: str
    links: tuple[str, ...]
    waiting: tuple[str, ...]
    unplanned: tuple[str, ...]
    applications: tuple[str, ...]
    at_ns: int
