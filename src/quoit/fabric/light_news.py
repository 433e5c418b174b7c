"""What Connectivity has told that may explain a change on a link: alarms of its fibres, and channels beside it."""

from __future__ import annotations

from quoit.connectivity.api import LIT, ChannelRow
from quoit.model.quantity import format_duration
from quoit.planes.management import Alarm

RECENT_NS = 120 * 10**9
"""So long after it was lit or changed a channel is named as a possible cause."""


class LightNews:
    """Standing alarms and recent changes by fibre."""

    def __init__(self, links: dict[str, tuple[str, ...]], channels: dict[str, tuple[str, ...]]) -> None:
        self._links = dict(links)
        self._channels = dict(channels)
        self._alarms: dict[tuple[str, str], Alarm] = {}
        self._lit: dict[str, int] = {}

    def note_alarm(self, alarm: Alarm) -> None:
        """An alarm of a span or a channel was raised, or cleared."""
        if alarm.cleared_ns is None:
            self._alarms[alarm.about, alarm.cause] = alarm
        else:
            self._alarms.pop((alarm.about, alarm.cause), None)

    def note_channel(self, row: ChannelRow, now: int) -> None:
        """A channel was lit, put out, or goes another way."""
        if row.channel in self._links:
            self._links[row.channel] = row.spans
            return
        self._channels[row.channel] = row.spans
        self._lit[row.channel] = now if row.state == LIT else -RECENT_NS

    def explains(self, link: str, now: int) -> str:
        """What may be behind a change on a link; empty if nothing was told."""
        mine = set(self._links.get(link, ()))
        told = [
            f"{alarm.cause} on {alarm.about}"
            for alarm in self._alarms.values()
            if alarm.about in mine or mine & set(self._channels.get(alarm.about, ()))
        ]
        told += [
            f"channel {channel} lit at {format_duration(at)}"
            for channel, at in self._lit.items()
            if now - at < RECENT_NS and mine & set(self._channels[channel])
        ]
        return ", ".join(told)
