"""The orchestrator's view as data trees of quoit-orchestration (RFC 7951), and planned works from them. Pure.

Names follow what is known of ETSI GS QKD 018's models; nothing here claims to conform to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from quoit.model.problem import Problem
from quoit.orchestration.api import Candidate, LinkSeen, NodeJoined, ServiceLink, SpanSeen, View, Works, WorksAnnounced

MODULE = "quoit-orchestration"
NETWORK, APPS, OPTICAL = f"{MODULE}:qkd_network", f"{MODULE}:qkd_apps", f"{MODULE}:optical-topology"
PLANNED = f"{MODULE}:planned-works"
REGISTER = f"{MODULE}:app-registration"
CREATE = f"{MODULE}:create-service-link-id-for-app"
FIND = f"{MODULE}:create-candidate-paths-per-service-link-for-app"
DEPLOY = f"{MODULE}:deploy-a-candidate-path-per-service-link-for-app"
RELEASE = f"{MODULE}:release-service-link"
OPERATIONS = (REGISTER, CREATE, FIND, DEPLOY, RELEASE)
MOST_BPS = 1e12
S = 1_000_000_000
LEAD_S = 60
_NAMEABLE = re.compile(r"[A-Za-z0-9_\-]{1,64}")
"""Names of works that the module can hold; a twin's operator may give others, which are not shown here."""
When = Callable[[int], datetime]
Tree = dict[str, Any]


def network_tree(view: View, when: When) -> Tree:
    """`qkd_network`: domains, nodes, links of both kinds, alarms."""
    channels = {channel.channel: channel for channel in view.channels if channel.kind == "quantum"}
    apps: dict[str, list[str]] = {}
    for app in view.applications:
        apps.setdefault(app.node, []).append(app.sae)
    nodes = [
        _given(
            qkdn_id=one.node,
            domain=one.domain,
            kind=one.kind,
            joined=one.joined,
            kme=list(one.kmes),
            application=apps.get(one.node, []),
            qkdi=[{"qkdi_id": name} for name in one.interfaces],
        )
        for one in view.nodes
    ]
    reserved: dict[str, float] = {}
    for flow in view.flows:
        for link in flow.links if flow.name else ():
            reserved[link] = reserved.get(link, 0.0) + flow.offered_bps
    links = []
    for row in view.links:
        channel = channels.get(row.link)
        performance = _given(
            skr=decimal(row.secret_bps, 3),
            eskr=decimal(max(0.0, row.secret_bps - reserved.get(row.link, 0.0)), 3),
            qber=None if row.qber is None else decimal(row.qber, 9),
        )
        links.append(
            _given(
                phys_link_id=row.link,
                phys_link_local_qkdn=row.a,
                phys_link_remote_qkdn=row.b,
                state=row.state,
                commissioned=row.link not in view.waiting,
                enable=row.state == "up",
                stored_key=str(row.pool_bits),
                frequency=None if channel is None else channel.centre_mhz,
                span=[] if channel is None else list(channel.spans),
                performance=performance,
            )
        )
    alarms = [
        {
            "stratum": a.stratum, "about": a.about, "cause": a.cause, "severity": a.severity, "text": a.text,
            "since": text_of(when(a.since_ns)),
        }
        for a in view.alarms
    ]  # fmt: skip
    return {
        "observed-from": text_of(when(view.from_ns)),
        "observed-to": text_of(when(view.at_ns)),
        "domain": [_given(name=d.name, prefix=d.prefix, mode=d.mode, silent=list(d.silent)) for d in view.domains],
        "sdqkd_nodes": {"qkdn": nodes},
        "qkd_links": {"qkd_phys_links": {"phys_link": links}, "qkd_svc_links": {"svc_link": _svc_links(view)}},
        "alarm": alarms,
    }


def _svc_links(view: View) -> list[Tree]:
    out = []
    for kme in view.kmes:
        sessions = {one.session_id: one for one in kme.sessions}
        for stream in kme.streams:
            session = sessions.get(stream.session)
            out.append(
                _given(
                    svc_link_id=stream.session or stream.name,
                    local_kme=kme.kme,
                    remote_kme=stream.peer,
                    app_id=None if session is None else session.caller,
                    state=None if session is None else session.state,
                    bandwidth=None if session is None else decimal(session.rate_bps, 3),
                    route=[{"number": i, "qkdn": list(nodes)} for i, nodes in enumerate(stream.routes)],
                )
            )
    return out


def apps_tree(links: Iterable[ServiceLink]) -> Tree:
    """`qkd_apps`"""
    return {
        "qkd_app": [
            _given(
                app_id=one.app,
                peer_app_id=one.peer,
                bandwidth=decimal(one.rate_bps, 3),
                svc_link_id=one.link_id or None,
                status=one.state,
                deployed_path=one.deployed,
                candidate_path=[candidate_tree(path) for path in one.candidates],
            )
            for one in links
        ]
    }


def candidate_tree(path: Candidate) -> Tree:
    return {
        "path_id": path.number,
        "phys_link": list(path.links),
        "qkdn": list(path.nodes),
        "skr": decimal(path.bps, 3),
    }


def optical_tree(view: View, when: When) -> Tree:
    """`optical-topology`: what the quantum side gets of the optical side."""
    lights = {row.span: row for row in view.lights}
    spans = []
    for span in view.spans:
        light = lights.get(span.span)
        loss = None if light is None or light.loss_db is None else decimal(light.loss_db, 6)
        spans.append(
            _given(
                **{"shared-risk": list(span.risks), "commissioned-loss": decimal(span.loss_db, 6)},
                name=span.span,
                a=span.a,
                b=span.b,
                medium=span.medium,
                length=decimal(span.length_km, 6),
                loss=loss,
                state="unknown" if light is None else light.state,
            )
        )
    sites = [
        {
            "name": row.node, "kind": row.kind, "insertion-loss": decimal(row.insertion_db, 6),
            "switching-time": str(row.switching_ns),
        }
        for row in view.optics
    ]  # fmt: skip
    channels = [
        {
            "name": c.channel, "kind": c.kind, "source": c.source, "span": list(c.spans), "centre": c.centre_mhz,
            "width": c.width_mhz, "state": c.state,
        }
        for c in view.channels
    ]  # fmt: skip
    services = [
        _given(
            name=s.service,
            kind=s.kind,
            a=s.a,
            b=s.b,
            lifecycle=s.lifecycle,
            enabled=s.enabled,
            channel=s.channel,
            span=list(s.spans),
            centre=s.centre_mhz or None,
            start=None if s.start_ns is None else text_of(when(s.start_ns)),
            end=None if s.end_ns is None else text_of(when(s.end_ns)),
            note=s.note or None,
        )
        for s in view.services
    ]
    return {"site": sites, "span": spans, "channel": channels} | _given(service=services)


def works_of(tree: Mapping[str, Any], ns_of: Callable[[datetime], int]) -> dict[str, Works]:
    """The configured works, by identifier. Problem `malformed` for a date that is none."""
    rows = tree.get(PLANNED, {}).get("works", ())
    return {
        row["works-id"]: Works(
            row["works-id"],
            row["side"],
            row["kind"],
            row["target"],
            ns_of(_instant("from", row["from"])),
            ns_of(_instant("until", row["until"])),
            row.get("text", ""),
            force=row.get("force", False),
            lead_ns=row.get("lead", LEAD_S) * S,
        )
        for row in rows
    }


def works_configuration(works: Iterable[Works], when: When) -> Tree:
    """The calendar as configuration: what `works_of` reads."""
    rows = [_works_row(one, when) for one in works if _NAMEABLE.fullmatch(one.works_id)]
    return {PLANNED: _given(works=rows)}


def _works_row(works: Works, when: When) -> Tree:
    lead_s = -(-works.lead_ns // S)
    return _given(
        **{"works-id": works.works_id, "from": text_of(when(works.from_ns))},
        until=text_of(when(works.until_ns)),
        side=works.side,
        kind=works.kind,
        target=works.target,
        lead=None if lead_s == LEAD_S else lead_s,
        force=works.force or None,
        text=works.text or None,
    )


def works_state(works: Iterable[Works], when: When) -> Tree:
    """The calendar with the state of its works. Those that nobody configured here are there as a whole."""
    rows = [
        {**_works_row(one, when), **_given(**{"touched-link": list(one.links)}, state=one.state, moved=list(one.moved),
                                           stuck=list(one.stuck))}
        for one in works if _NAMEABLE.fullmatch(one.works_id)
    ]  # fmt: skip
    return {"works": rows} if rows else {}


def works_notice(news: WorksAnnounced, when: When) -> Tree:
    w = news.works
    return _given(
        **{"works-id": w.works_id, "touched-link": list(w.links)},
        side=w.side,
        kind=w.kind,
        target=w.target,
        state=w.state or None,
        **{"from": text_of(when(w.from_ns))},
        until=text_of(when(w.until_ns)),
        withdrawn=news.withdrawn,
    )


def joined_notice(news: NodeJoined) -> Tree:
    return _given(qkdn_id=news.node, phys_link=list(news.links), application=list(news.applications))


def link_notice(news: LinkSeen) -> Tree:
    return {"phys_link_id": news.link, "state": news.state, "reason": news.why}


def span_notice(news: SpanSeen) -> Tree:
    return _given(span=news.span, state=news.state, phys_link=list(news.links))


def text_of(at: datetime) -> str:
    """A yang:date-and-time to the microsecond."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def decimal(value: float, digits: int) -> str:
    """A decimal64 in canonical form (RFC 7950 cl. 9.3.2)."""
    text = f"{Decimal(repr(value)):.{digits}f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def _instant(name: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Problem("malformed", f"{name}: expected a date that there is, found {text!r}") from None


def _given(**members: Any) -> Tree:
    """Members that have a value: an empty list is no instance."""
    return {name: value for name, value in members.items() if value is not None and value != []}
