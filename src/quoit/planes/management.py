"""What the management planes of all strata share: alarms that are raised, seen and cleared.

Severities are those of ITU-T X.733, clause 8.1.2.3, without *indeterminate*. An alarm is named by the object
and its cause; raising it again changes nothing, so a flapping cause makes one entry, not a flood.
"""

from __future__ import annotations

from enum import StrEnum

from quoit.runtime.context import Context
from quoit.runtime.element import Stratum
from quoit.runtime.wire import Message, message

ALARM_NEWS = "alarm"
"""Subjects are `alarm.<stratum>.<object>`."""


class Severity(StrEnum):
    """How much service an alarm's cause takes away."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    WARNING = "warning"


@message("planes.Alarm")
class Alarm(Message):
    """Something is wrong with `about` since `since_ns`; `cleared_ns` when it no longer is."""

    stratum: str
    about: str
    cause: str
    severity: str
    text: str
    since_ns: int
    cleared_ns: int | None = None


@message("planes.GetAlarms")
class GetAlarms(Message):
    """What is wrong now? Answered with `Alarms`."""


@message("planes.Alarms")
class Alarms(Message):
    """Standing alarms, oldest first."""

    alarms: tuple[Alarm, ...]


class AlarmBook:
    """Standing alarms of one stratum's management."""

    def __init__(self, stratum: Stratum) -> None:
        self._stratum = str(stratum)
        self._standing: dict[tuple[str, str], Alarm] = {}

    def raise_(self, ctx: Context, about: str, cause: str, severity: Severity, text: str) -> None:
        """Raise an alarm, unless it stands already; one that has become more or less severe is raised anew."""
        standing = self._standing.get((about, cause))
        if standing is not None:
            if standing.severity == str(severity):
                return
            self.clear(ctx, about, cause)
        alarm = Alarm(self._stratum, about, cause, str(severity), text, ctx.now)
        self._standing[about, cause] = alarm
        ctx.emit("alarm.raised", about=about, cause=cause, severity=str(severity), text=text)
        self._tell(ctx, alarm)

    def clear(self, ctx: Context, about: str, cause: str) -> None:
        """Clear an alarm, if it stands."""
        alarm = self._standing.pop((about, cause), None)
        if alarm is None:
            return
        ctx.emit("alarm.cleared", about=about, cause=cause, stood_ns=ctx.now - alarm.since_ns)
        over = Alarm(alarm.stratum, about, cause, alarm.severity, alarm.text, alarm.since_ns, ctx.now)
        self._tell(ctx, over)

    def _tell(self, ctx: Context, alarm: Alarm) -> None:
        standing = sum(a.severity == alarm.severity for a in self._standing.values())
        ctx.gauge("quoit_alarms", (self._stratum, alarm.severity), standing)
        ctx.publish(f"{ALARM_NEWS}.{self._stratum}.{alarm.about}", alarm)

    @property
    def standing(self) -> Alarms:
        """What is wrong now."""
        return Alarms(tuple(sorted(self._standing.values(), key=lambda a: (a.since_ns, a.about, a.cause))))
