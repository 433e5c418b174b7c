"""Routes for key: installed between nodes, reserved for sessions; and who decides on them."""

from __future__ import annotations

from quoit.runtime.wire import Message, message


@message("fabric.OpenFlow")
class OpenFlow(Message):
    """Service asks: keep a relay route from node `src` to node `dst`. Problem `no-route` if there is none."""

    src: str
    dst: str


@message("fabric.Flow")
class Flow(Message):
    """A route that is installed. `offered_bps` is what the narrowest link makes now, less other flows."""

    src: str
    dst: str
    epoch: int
    nodes: tuple[str, ...]
    links: tuple[str, ...]
    offered_bps: float
    name: str = ""


@message("fabric.CommissionNode")
class CommissionNode(Message):
    """`node` has joined: the links to it whose other ends are there get their paths and begin. Answered with
    `Commissioned`, also if it had been said before."""

    node: str


@message("fabric.Commissioned")
class Commissioned(Message):
    node: str
    links: tuple[str, ...]


@message("fabric.EnableLink")
class EnableLink(Message):
    """Have a link that is there on demand make key, on the path `spans` that its light was given (empty: the one it is
    pinned to). Answered with `LinkEnabled`, also if it had been said before; problems `no-such-element`, `not-ready`
    (an end of it has not joined), those of `connectivity.RequestPath`."""

    link: str
    spans: tuple[str, ...] = ()


@message("fabric.DisableLink")
class DisableLink(Message):
    """Nobody needs this link any more: flows leave it, it makes no more key, and its light's path is given up. What is
    in its pools stays. Answered with `LinkEnabled`; problems `no-such-element`, `malformed` (not on demand)."""

    link: str


@message("fabric.LinkEnabled")
class LinkEnabled(Message):
    link: str
    enabled: bool


@message("fabric.ReserveFlows")
class ReserveFlows(Message):
    """Service asks: `paths` routes of its own for `session`, each with `rate_bps` of key kept for it on every link.

    Routes share no node between their ends. `most_transit`: trusted nodes that may see the key on one route (0: a
    direct link; None: any number). `avoid`: nodes that may not. A session of higher `priority` takes rates away from
    lower ones if it must. Answered by `ReservedFlows`; Problem `no-route`, or `not-admitted` with `offered_bps`.
    """

    session: str
    src: str
    dst: str
    rate_bps: float
    paths: int = 1
    most_transit: int | None = None
    avoid: tuple[str, ...] = ()
    priority: int = 0


@message("fabric.ReservedFlows")
class ReservedFlows(Message):
    """The routes, and the sessions that had to give up theirs."""

    session: str
    flows: tuple[Flow, ...]
    preempted: tuple[str, ...] = ()


@message("fabric.ReleaseFlows")
class ReleaseFlows(Message):
    """The session is over: its routes and rates are free. Answered by `ReleasedFlows`, also if there were none."""

    session: str


@message("fabric.ReleasedFlows")
class ReleasedFlows(Message):
    session: str


SESSION_NEWS = "fabric.session"
"""Subjects are `fabric.session.<session>`."""


@message("fabric.SessionFlows")
class SessionFlows(Message):
    """News: a session's routes have changed. Fewer than were reserved: the rest is lost until a way is found.
    `preempted_by`: the session that took them."""

    session: str
    flows: tuple[Flow, ...]
    why: str
    preempted_by: str | None = None


@message("fabric.AcquireLease")
class AcquireLease(Message):
    """A controller's instance, in its life that began at `life`, wants to lead, or go on leading, for `ttl_ns`.
    Answered with `Lease`."""

    holder: str
    life: int
    ttl_ns: int


@message("fabric.Lease")
class Lease(Message):
    """Who leads until when, in which epoch: each time that the leader is another, or comes back, it is higher. The
    holder is told what is wanted of the network: `sessions`, whose reservations stand; `drained` links; and `joined`,
    nodes that came later."""

    holder: str
    epoch: int
    until_ns: int
    sessions: tuple[ReserveFlows, ...] = ()
    drained: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()


@message("fabric.LinkCommissioned")
class LinkCommissioned(Message):
    """News of a fabric that is oblivious to Connectivity: the devices of a link run from now on, and light for it is
    for somebody else to order. Told again when another controller of the fabric takes over."""

    link: str
    sender: str
    receiver: str


@message("fabric.DrainLink")
class DrainLink(Message):
    """Keep flows off a link as long as there is another way (`drain` false: no longer). Key in its pools stays,
    sessions find other routes or lose theirs. Answered with `LinkDrained`; Problem `no-such-element`."""

    link: str
    drain: bool = True
    why: str = "drained"


@message("fabric.LinkDrained")
class LinkDrained(Message):
    """`flows`: those that run over the link still, since there is no other way for them."""

    link: str
    flows: tuple[str, ...]


@message("fabric.FlowChanged")
class FlowChanged(Message):
    """News: a route was moved, or (`nodes` empty) lost."""

    src: str
    dst: str
    epoch: int
    nodes: tuple[str, ...]
    why: str


@message("fabric.GetFlows")
class GetFlows(Message):
    """Management asks control: which routes are there, for pairs of nodes and for sessions? Answered with `Flows`."""


@message("fabric.Flows")
class Flows(Message):
    """Routes that Service asked for (`nodes` empty: there is none now), and those that sessions have reserved.
    `waiting`: links that are planned, and not commissioned before a node at their end has joined."""

    flows: tuple[Flow, ...]
    sessions: tuple[ReservedFlows, ...]
    waiting: tuple[str, ...] = ()

    @property
    def installed(self) -> tuple[Flow, ...]:
        """Routes that are there now: of pairs of nodes, then of sessions."""
        of_sessions = (flow for held in self.sessions for flow in held.flows)
        return (*(flow for flow in self.flows if flow.nodes), *of_sessions)

    def of_session(self, session: str) -> tuple[Flow, ...]:
        """The routes that this one has reserved; none if there is no such session."""
        return next((held.flows for held in self.sessions if held.session == session), ())
