"""The SDN agent of an SD-QKD node (ETSI GS QKD 015 V2.1.1; A3, C6): what a controller may see and change there.

It answers to the messages of `planes.configuration` with the standard's data tree, so that a controller inside the twin
and a RESTCONF client outside it do the same thing. Its edits act: physical links start and stop, virtual links become
entries of the node's relay. It speaks to devices of its own node alone: a link runs if the agents at both its ends have
switched their modules on.

Named approximations: applications that are not registered get keys all the same; `expected_consumption` counts what
was agreed and reserved, not what was used; the error rate is that of the last block.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from quoit.connectivity.api import PATH_NEWS, PathDown, PathUp
from quoit.fabric import api
from quoit.fabric.api import (
    BlockMade,
    KeysAsked,
    LinkAuth,
    LinkQuarantined,
    LinkReleased,
    PoolLevel,
)
from quoit.fabric.kma import GuardPool
from quoit.fabric.module import ActivateLink, DeactivateLink
from quoit.fabric.relay import SetForwarding
from quoit.fabric.reservations import GUARD_S
from quoit.fabric.sdqkd import tree
from quoit.fabric.sdqkd.applications import REMOTE
from quoit.fabric.sdqkd.edits import Entry, Wanted, bare, wanted
from quoit.fabric.sdqkd.fencing import check_turn
from quoit.fabric.sdqkd.figures import SECOND, AppFigures, LinkFigures
from quoit.fabric.sdqkd.hardware import Hardware
from quoit.fabric.sdqkd.tree import Node
from quoit.model.problem import Problem
from quoit.planes.configuration import (
    CONFIGURATION_NEWS,
    ApplyConfiguration,
    ConfigurationApplied,
    ConfigurationChanged,
    ConfigurationRead,
    Notification,
    ReadConfiguration,
    ReadState,
    StateChanged,
    StateRead,
)
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

WITHIN = 2 * SECOND
PERIOD_NS = 60 * SECOND
"""Of application statistics, and of looking at who has left."""
IDLE_S = 600
"""Without a request for so long an application has left, if its ttl does not say otherwise."""
RETELL_NS = 60 * SECOND
"""An application that nobody registers is told of again after so long."""
MOST_APPS = 1_000
"""Applications that an agent keeps account of; those beyond are served and not seen."""


@message("fabric.AgentPeriod")
class AgentPeriod(Message):
    """An agent to itself: a period is over."""


class SdnAgent(Element):
    """One node's agent. `with_links`: its physical links are set up from the start, by the fabric's own controller."""

    stratum, plane = Stratum.FABRIC, Plane.CONTROL
    realises = ("A3", "C6")

    def __init__(self, hardware: Hardware, with_links: bool) -> None:
        super().__init__(api.agent(hardware.node), hardware.node)
        self.hardware = hardware
        self._config: Node = hardware.commissioned(with_links)
        self._wanted = wanted(hardware, self._config)
        self._links = {module.link: LinkFigures() for module in hardware.modules}
        self._modules = {module.link: module for module in hardware.modules}
        self._apps: dict[tuple[str, tuple[str, ...]], AppFigures] = {}
        self._editing = False
        self._relay_epoch = 0
        self._guards: dict[str, int] = {}
        self.subscribes = (
            *(f"{api.LINK_NEWS}.{link}.*" for link in self._modules),
            *(f"{PATH_NEWS}.{link}" for link in self._modules),
            f"{api.APPLICATION_NEWS}.{hardware.node}",
        )

    async def start(self, ctx: Context) -> None:
        for number in sorted(self._config.interfaces):
            self._notify(ctx, "sdqkdn_interface_new", {"qkd_interface": self._config.interfaces[number]})
        ctx.tell(self.name, AgentPeriod(), after=PERIOD_NS)

    # -- what controllers ask --------------------------------------------------------------------------

    @handles(ReadConfiguration)
    async def on_read(self, ctx: Context, msg: ReadConfiguration) -> ConfigurationRead:
        return ConfigurationRead(tree.write(self._config))

    @handles(ReadState)
    async def on_state(self, ctx: Context, msg: ReadState) -> StateRead:
        return StateRead(tree.write(self._state(ctx)))

    @handles(ApplyConfiguration)
    async def on_apply(self, ctx: Context, msg: ApplyConfiguration) -> ConfigurationApplied:
        before, after = tree.read(msg.before), tree.read(msg.after)
        if before is None or before.sorted != self._config or self._editing:
            raise Problem("config-changed", "the node's configuration is another than the one that is to be replaced")
        if after is None:
            raise Problem("config-refused", "the node is there; what can be deleted is below it")
        after = after.sorted
        check_turn(before.sorted, after)
        new = wanted(self.hardware, after)
        self._editing = True
        try:
            await self._forward(ctx, new)
        finally:
            self._editing = False
        old, ran = self._config, self._wanted
        self._config, self._wanted = after, new
        self._switch(ctx, ran, new)
        self._tell_interfaces(ctx, old, after)
        self._guard(ctx)
        ctx.emit("agent.configured", caller=msg.caller, links=len(after.links), turn=_turn(after))
        ctx.publish(f"{CONFIGURATION_NEWS}.{self.name}", ConfigurationChanged(self.name, msg.caller))
        self._changed(ctx)
        return ConfigurationApplied()

    # -- acting on devices -----------------------------------------------------------------------------

    async def _forward(self, ctx: Context, new: Wanted) -> None:
        """Write the relay's entries that differ; if one fails, those before it are taken back."""
        old = {entry.route: entry for entry in self._wanted.entries.values()}
        entries = {entry.route: entry for entry in new.entries.values()}
        done: list[tuple[str, str, str]] = []
        try:
            for route in sorted(entries.keys() | old.keys()):
                if entries.get(route) != old.get(route):
                    done.append(route)
                    await self._write(ctx, route, entries.get(route))
        except Problem as problem:
            for route in reversed(done):
                try:
                    await self._write(ctx, route, old.get(route))
                except Problem as fault:
                    ctx.log.error("agent.not_taken_back", route=route, code=fault.code)
            raise Problem("config-refused", f"the relay does not take it: {problem}") from problem

    async def _write(self, ctx: Context, route: tuple[str, str, str], entry: Entry | None) -> None:
        # Grows over restarts of the agent too, whose entries the relay keeps.
        self._relay_epoch = max(self._relay_epoch + 1, ctx.now)
        src, dst, flow = route
        link = None if entry is None else entry.link
        relay = api.relay(self.hardware.node)
        await ctx.ask(relay, SetForwarding(src, dst, link, self._relay_epoch, flow), within=WITHIN)
        ctx.emit("agent.forwarding", src=src, dst=dst, flow=flow, link=link)

    def _switch(self, ctx: Context, old: Wanted, new: Wanted) -> None:
        """Start and stop modules whose links are to run, or not to run, other than before."""
        for link in self._modules:
            ran = old.runs.get(link, ("", False))[1]
            runs = new.runs.get(link, ("", False))[1]
            if runs == ran:
                continue
            qkdl_id = (new.runs.get(link) or old.runs[link])[0]
            figures = self._links[link]
            if not runs:
                figures.stop()
            ctx.emit("agent.link", link=link, runs=runs)
            order = ActivateLink(link) if runs else DeactivateLink(link)
            ctx.tell(api.module(link, self.hardware.node), order)
            what = "enabled" if runs else "disabled"
            figures.shown = figures.status(runs)
            self._say(ctx, "event", "link", qkdl_id, figures.shown, f"{what} by configuration", tree.MINOR)

    def _guard(self, ctx: Context) -> None:
        """Keep key in the pools for what virtual links have as their bandwidth, if nobody else does that."""
        if not self.hardware.default_routes:
            return
        for link, (qkdl_id, _) in self._wanted.runs.items():
            bits = round(self._riding_bps(qkdl_id) * GUARD_S)
            if bits != self._guards.get(link, 0):
                self._guards[link] = bits
                ctx.tell(api.kma(self.hardware.node), GuardPool(link, bits))

    def _riding_bps(self, qkdl_id: str) -> float:
        """Bandwidths of the virtual links that come in or go out over a physical one."""
        apps, links = self._config.apps, self._config.links.values()
        rates = (
            link.virt_bandwidth or 0
            for link in links
            if any(i in apps and qkdl_id in apps[i].backing_qkdl_id for i in link.qkdl_applications)
        )
        return float(sum(rates))

    def _tell_interfaces(self, ctx: Context, old: Node, new: Node) -> None:
        for number in sorted(new.interfaces.keys() - old.interfaces.keys()):
            shown = bare(self.hardware.interface(self.hardware.by_number[number]))
            self._notify(ctx, "sdqkdn_interface_new", {"qkd_interface": shown})
        for number in sorted(old.interfaces.keys() - new.interfaces.keys()):
            self._notify(ctx, "sdqkdn_interface_out", {"qkd_interface": {"qkdi_id": number}})

    # -- state -----------------------------------------------------------------------------------------

    def _state(self, ctx: Context) -> Node:
        """All that is not configuration, with the keys of the lists that it is in."""
        config = self._config
        by_id = {qkdl_id: link for link, (qkdl_id, _) in self._wanted.runs.items()}
        links = {i: self._link_state(i, by_id.get(i), link) for i, link in config.links.items()}
        interfaces = {n: tree.Interface(n, qkdi_status=self._interface_status(n)) for n in config.interfaces}
        apps = {i: self._app_state(ctx, app) for i, app in config.apps.items()}
        blank = Node(config.qkdn_id, tree.OPERATING)
        return blank.with_lists(apps=apps, interfaces=interfaces, links=links)

    def _link_state(self, qkdl_id: str, link: str | None, config: tree.Link) -> tree.Link:
        if link is not None:
            figures = self._links[link]
            performance = figures.performance(*self._expected(qkdl_id, link))
            return tree.Link(qkdl_id, figures.status(config.enabled), qkdl_performance=performance)
        entry = self._wanted.entries.get(qkdl_id)
        if entry is None:  # its last node, where keys arrive, or one that is switched off
            return tree.Link(qkdl_id, tree.ACTIVE if config.enabled else tree.OFF)
        carrier = self._links[entry.link]
        performance = carrier.performance(float(config.virt_bandwidth or 0), 0.0, physical=False)
        return tree.Link(qkdl_id, carrier.status(True), qkdl_performance=performance)

    def _interface_status(self, number: int) -> str:
        link = self.hardware.by_number[number].link
        if self._links[link].parked:
            return tree.FAILED
        return tree.ENABLED if self._wanted.runs.get(link, ("", False))[1] else tree.DISABLED

    def _expected(self, qkdl_id: str, link: str) -> tuple[float, float]:
        """Rates that are asked of a physical link: in all, and for virtual links."""
        links = self._config.links
        inner = sum(links[i].virt_bandwidth or 0 for i, entry in self._wanted.entries.items() if entry.link == link)
        outer = sum(
            (app.app_qos.min_bandwidth or 0) if app.app_qos is not None else 0
            for app in self._config.apps.values()
            if app.app_type != tree.INTERNAL and qkdl_id in app.backing_qkdl_id
        )
        return float(inner + outer), float(inner)

    def _app_state(self, ctx: Context, app: tree.App) -> tree.App:
        figures = self._figures_of(app)
        state = tree.App(app.app_id, self._app_status(ctx, app, figures))
        if figures is None:
            return state
        periods = [*figures.periods, *([(figures.since_ns, ctx.now, figures.bits)] if figures.bits else [])]
        usages = {self._date(end): tree.Usage(self._date(end), self._date(a), bits) for a, end, bits in periods}
        statistics = tree.AppStatistics(tuple(usages.values())) if usages else None
        return replace(state, creation_time=self._date(figures.created_ns), app_statistics=statistics)

    def _app_status(self, ctx: Context, app: tree.App, figures: AppFigures | None) -> str:
        # RFC 3339 in UTC as we write it compares as text; another form is compared to the second or not at all
        if app.expiration_time is not None and app.expiration_time[:19] < self._date(ctx.now)[:19]:
            return tree.OUT_OF_TIME
        if figures is not None and figures.left:
            return tree.DISCONNECTED
        return tree.ON if app.remote_qkdn_id is not None or app.app_type == tree.INTERNAL else tree.ZOMBIE

    def _date(self, at_ns: int) -> str:
        return tree.date_and_time(self.hardware.epoch_unix_s + at_ns / SECOND)

    # -- applications ----------------------------------------------------------------------------------

    def _figures_of(self, app: tree.App) -> AppFigures | None:
        return self._apps.get((app.server_app_id or "", tuple(sorted(app.client_app_id))))

    def _registered(self, figures: AppFigures) -> tree.App | None:
        return next((a for a in self._config.apps.values() if self._figures_of(a) is figures), None)

    @handles(KeysAsked)
    async def on_keys(self, ctx: Context, msg: KeysAsked) -> None:
        name = msg.server, tuple(sorted(msg.clients))
        figures = self._apps.get(name)
        if figures is None:
            if len(self._apps) >= MOST_APPS:
                return
            figures = AppFigures(*name, msg.least_bps, msg.priority, ctx.now, since_ns=ctx.now, created_ns=ctx.now)
            self._apps[name] = figures
        figures.use(msg.bits, ctx.now)
        figures.left = False
        agreed = (msg.least_bps, msg.priority)
        changed = agreed != (figures.least_bps, figures.priority)
        figures.least_bps, figures.priority = agreed
        app = self._registered(figures)
        qos = tree.Qos(min_bandwidth=tree.rate(figures.least_bps))
        if app is not None and changed:
            told = {"app_id": app.app_id, "app_qos": qos, "app_priority": msg.priority}
            self._notify(ctx, "sdqkdn_application_qos_update", {"qkd_application": told})
        elif app is None and (figures.told_ns is None or ctx.now - figures.told_ns >= RETELL_NS):
            figures.told_ns = ctx.now
            new = {
                "app_type": tree.CLIENT,
                "server_app_id": msg.server,
                "client_app_id": msg.clients,
                "app_priority": msg.priority,
                "local_qkdn_id": self.hardware.qkdn_id,
                "app_qos": qos,
                REMOTE: self.hardware.id_of(msg.peer_node),
            }
            self._notify(ctx, "sdqkdn_application_new", {"qkd_application": new})

    @handles(AgentPeriod)
    async def on_period(self, ctx: Context, msg: AgentPeriod) -> None:
        for name, figures in list(self._apps.items()):
            figures.close_period(ctx.now)
            app = self._registered(figures)
            ttl = app.app_qos.ttl if app is not None and app.app_qos is not None else None
            if ctx.now - figures.seen_ns < (ttl or IDLE_S) * SECOND or figures.left:
                continue
            if app is None:
                del self._apps[name]
                continue
            figures.left = True
            self._notify(ctx, "sdqkdn_application_disconnected", {"qkd_application": {"app_id": app.app_id}})
        if self._apps:
            self._changed(ctx)
        ctx.tell(self.name, msg, after=PERIOD_NS)

    # -- links -----------------------------------------------------------------------------------------

    @handles(BlockMade)
    async def on_block(self, ctx: Context, msg: BlockMade) -> None:
        figures = self._links[msg.link]
        if not self._runs(msg.link):
            return  # a block that was under way when the link was switched off
        figures.bps, figures.qber = msg.secret_bits / (msg.took_ns / SECOND), msg.qber
        qkdl_id = self._id(msg.link)
        expected = self._expected(qkdl_id, msg.link)
        if figures.is_news():
            told = {"qkdl_id": qkdl_id, "performance": figures.performance(*expected)}
            self._notify(ctx, "sdqkdn_link_perf_update", {"qkd_link": told})
        if figures.overload_begins(expected[0]):
            told = {"qkdl_id": qkdl_id, "performance": figures.performance(*expected, physical=False)}
            self._notify(ctx, "sdqkdn_link_overloaded", {"qkd_link": told})
        self._changed(ctx)

    @handles(PoolLevel)
    async def on_pool(self, ctx: Context, msg: PoolLevel) -> None:
        figures = self._links[msg.link]
        changed = figures.pool_open != msg.open
        figures.pool_bits, figures.pool_open = msg.bits, msg.open
        if changed:
            self._changed(ctx)

    @handles(PathDown)
    async def on_dark(self, ctx: Context, msg: PathDown) -> None:
        self._links[msg.link].dark = True
        self._down(ctx, msg.link, f"no light on span {msg.span}")

    @handles(PathUp)
    async def on_light(self, ctx: Context, msg: PathUp) -> None:
        self._links[msg.link].dark = False
        self._up(ctx, msg.link, "light again")

    @handles(LinkQuarantined)
    async def on_quarantined(self, ctx: Context, msg: LinkQuarantined) -> None:
        self._links[msg.link].quarantined = True
        self._down(ctx, msg.link, f"quarantined: {msg.why}")

    @handles(LinkReleased)
    async def on_released(self, ctx: Context, msg: LinkReleased) -> None:
        self._links[msg.link].quarantined = False
        self._up(ctx, msg.link, "released from quarantine")

    @handles(LinkAuth)
    async def on_auth(self, ctx: Context, msg: LinkAuth) -> None:
        figures, module = self._links[msg.link], self._modules[msg.link]
        was, figures.parked = figures.parked, msg.parked
        if msg.parked and not was:
            reason = "no key left to authenticate the link's messages with"
            self._notify(ctx, "sdqkdn_interface_down", {"qkd_interface": {"qkdi_id": module.number, "reason": reason}})
            self._say(ctx, "alarm", "interface", module.number, tree.FAILED, reason, tree.MAJOR)
            self._down(ctx, msg.link, reason)
        elif was and not msg.parked:
            self._say(ctx, "event", "interface", module.number, tree.ENABLED, "commissioned anew", tree.MINOR)
            self._up(ctx, msg.link, "commissioned anew")

    def _down(self, ctx: Context, link: str, reason: str) -> None:
        figures = self._links[link]
        figures.stop()
        if self._runs(link):
            qkdl_id = self._id(link)
            self._notify(ctx, "sdqkdn_link_down", {"qkd_link": {"qkdl_id": qkdl_id, "reason": reason}})
            figures.shown = figures.status(True)
            self._say(ctx, "alarm", "link", qkdl_id, figures.shown, reason, tree.MAJOR)
        self._changed(ctx)

    def _up(self, ctx: Context, link: str, why: str) -> None:
        if self._runs(link):
            figures = self._links[link]
            figures.shown = figures.status(True)
            self._say(ctx, "event", "link", self._id(link), figures.shown, why, tree.MINOR)
        self._changed(ctx)

    def _runs(self, link: str) -> bool:
        return self._wanted.runs.get(link, ("", False))[1]

    def _id(self, link: str) -> str:
        return self._wanted.runs[link][0]

    # -- news ------------------------------------------------------------------------------------------

    def _notify(self, ctx: Context, name: str, content: dict[str, Any]) -> None:
        text = msgspec.json.encode(content).decode()
        news = Notification(self.name, f"{tree.MODULE}:{name}", text, ctx.now)
        ctx.emit("agent.notified", name=name)
        ctx.publish(f"{CONFIGURATION_NEWS}.{self.name}", news)

    def _say(self, ctx: Context, kind: str, about: str, key: str | int, status: str, text: str, severity: str) -> None:
        """An `alarm` or `event` about a link or an interface."""
        prefix = {"link": "qkdl", "interface": "qkdi"}[about]
        told = {f"{prefix}_id": key, f"{prefix}_status": status, "message": text, "severity": severity}
        self._notify(ctx, kind, {about: told})

    def _changed(self, ctx: Context) -> None:
        """State is another than it was; a link's new status is an event, if nothing else has told it."""
        for link, (qkdl_id, runs) in self._wanted.runs.items():
            status = self._links[link].becomes(runs)
            if status is not None:
                word = status.removeprefix(tree.TYPES)
                self._say(ctx, "event", "link", qkdl_id, status, f"the link is {word}", tree.MINOR)
        ctx.publish(f"{CONFIGURATION_NEWS}.{self.name}", StateChanged(self.name))


def _turn(node: Node) -> list[int] | None:
    return None if node.control is None else list(node.control.key)
