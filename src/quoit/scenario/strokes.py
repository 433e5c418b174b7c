"""What the events of a network file do: edits of the world, and what attackers say to its devices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from quoit.connectivity.api import Overstate, pnc
from quoit.engine.api import ENGINE
from quoit.engine.world import (
    BendSpan,
    Blind,
    CutSpan,
    Depolarise,
    Hijack,
    Intercept,
    Misalign,
    Mistune,
    SetRate,
    Shine,
    Split,
    Tamper,
    Tap,
)
from quoit.fabric.api import Falsify, module
from quoit.runtime.wire import Message
from quoit.scenario.fate import Messages, Stroke
from quoit.scenario.intrusion import FOREVER, lifting, rerouting
from quoit.scenario.schema import MANNERS, Attack, Event, Intrusion, Overstating

Ends = Mapping[str, tuple[str, str]]
"""Sender and receiver of each link."""


def strokes_of(event: Event, ends: Ends) -> list[Stroke]:
    """What an event does: at its begin, and at its end if it has one."""
    if event.control is not None:
        return _intrusion(event, event.control, ends)
    if event.attack is not None and event.attack.kind in MANNERS:
        return _taken_over(event, event.attack, ends)
    if event.overstate is not None:
        return _overstated(event, event.overstate)
    found = _edits(event)
    if found is None:
        return []
    begin, end, label = found
    return _lasting(event, label, ((ENGINE, begin),), ((ENGINE, end),))


def _lasting(event: Event, label: str, begin: Messages = (), end: Messages = ()) -> list[Stroke]:
    """From the event's begin, and to its end if it has one."""
    strokes = [Stroke(event.at_ns, label, begin)]
    if event.until_ns is not None:
        strokes.append(Stroke(event.until_ns, f"end of {label}", end))
    return strokes


def _edits(event: Event) -> tuple[Message, Message, str] | None:
    """Edits of the world: begin, end, and what they are called."""
    if event.attack is not None:
        return _attack(event.attack)
    if event.hijack is not None:
        node, share = event.hijack.node, event.hijack.fraction
        return Hijack(node, share), Hijack(node, 0.0), f"hijack {node} {share:g}"
    if event.rate is not None:
        rate = event.rate
        return SetRate(rate.link, rate.rate_bps), SetRate(rate.link, None), f"rate {rate.link} {rate.rate_bps:g} bit/s"
    if event.misalign is not None:
        off = event.misalign
        return Misalign(off.link, off.share), Misalign(off.link, 0.0), f"misalign {off.link} {off.share:g}"
    return _light(event)


def _light(event: Event) -> tuple[Message, Message, str] | None:
    """Edits of what light meets on its way, and of other light."""
    begin: Any
    end: Any
    if event.cut is not None:
        begin, end, label = CutSpan(event.cut), CutSpan(event.cut, False), f"cut {event.cut}"
    elif event.bend is not None:
        bend = event.bend
        begin, end = BendSpan(bend.span, bend.loss_db), BendSpan(bend.span, 0.0)
        label = f"bend {bend.span} {bend.loss_db:g} dB"
    elif event.tap is not None:
        tap = event.tap
        begin, end, label = Tap(tap.span, tap.loss_db), Tap(tap.span, 0.0), f"tap {tap.span} {tap.loss_db:g} dB"
    elif event.light is not None:
        light = event.light
        begin = Shine(light.span, light.launch_dbm, light.frequency_mhz, light.width_mhz)
        end = Shine(light.span, None, light.frequency_mhz, light.width_mhz)
        label = f"light {light.span} {light.launch_dbm:g} dBm"
    elif event.power is not None:
        power = event.power
        begin, end = Mistune(power.channel, power.launch_dbm), Mistune(power.channel, None)
        label = f"power {power.channel} {power.launch_dbm:g} dBm"
    elif event.weather is not None:
        weather = event.weather
        begin, end = BendSpan(weather.span, weather.loss_db), BendSpan(weather.span, 0.0)
        label = f"weather {weather.span} {weather.loss_db:g} dB"
    else:
        return None
    return begin, end, label


def _attack(attack: Attack) -> tuple[Message, Message, str]:
    link, share = attack.link, attack.fraction or 0.0
    known = attack.tests == "known"
    edits: dict[str, tuple[Message, Message]] = {
        "intercept-resend": (Intercept(link, share, known), Intercept(link, 0.0)),
        "photon-number-splitting": (Split(link, share), Split(link, 0.0)),
        "depolarise": (Depolarise(link, share), Depolarise(link, 0.0)),
        "tamper-messages": (Tamper(link, share), Tamper(link, 0.0)),
        "blinding": (Blind(link), Blind(link, False)),
    }
    begin, end = edits[attack.kind]
    much = f" {share:g}" if attack.fraction is not None else ""
    return begin, end, f"{attack.kind} {link}{much}{' with known tests' if known else ''}"


def _taken_over(event: Event, attack: Attack, ends: Ends) -> list[Stroke]:
    """Agents of a link's ends that are in somebody's hands."""
    numbers = {"sender": (0,), "receiver": (1,)}.get(attack.end or "", (0, 1))
    modules = [module(attack.link, ends[attack.link][number]) for number in numbers]
    begin = Falsify(attack.link, True, MANNERS[attack.kind], attack.delay_ns or 0)
    label = f"{attack.kind} {attack.link} {attack.end}"
    over = Falsify(attack.link, False)
    return _lasting(event, label, tuple((to, begin) for to in modules), tuple((to, over) for to in modules))


def _overstated(event: Event, over: Overstating) -> list[Stroke]:
    """An optical domain's controller that announces better ways than it has."""
    label = f"overstate {over.domain} {over.loss_db:g} dB {over.latency_ns} ns"
    to, told = pnc(over.domain), Overstate(over.loss_db, over.latency_ns)
    return _lasting(event, label, ((to, told),), ((to, Overstate()),))


def _intrusion(event: Event, control: Intrusion, ends: Ends) -> list[Stroke]:
    at, until = event.at_ns, event.until_ns
    if control.link is not None:
        return list(lifting(control.link, ends[control.link], at, until))
    if control.via is not None:
        return [rerouting(tuple(control.via), links_along(control.via, ends), at)]
    label = f"{control.node} is cut off from control"
    return _lasting(event, label)  # see `cut_off`


def links_along(way: list[str], ends: Ends) -> tuple[str, ...]:
    """The first link between each two nodes of a way. StopIteration if there is none."""
    return tuple(next(link for link, two in ends.items() if set(two) == {one, other}) for one, other in pairwise(way))


def cut_off(events: Iterable[Event]) -> dict[str, list[tuple[int, int]]]:
    """When control is kept from which nodes: (from, until) in ns each."""
    found: dict[str, list[tuple[int, int]]] = {}
    for event in events:
        if event.control is not None and event.control.node is not None:
            until = FOREVER if event.until_ns is None else event.until_ns
            found.setdefault(event.control.node, []).append((event.at_ns, until))
    return found
