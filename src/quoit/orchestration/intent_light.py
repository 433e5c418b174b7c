"""How an intent gets light: what is asked of whoever controls the optical network, and what is said of it (E5)."""

from __future__ import annotations

from quoit.model.problem import Problem
from quoit.orchestration.api import (
    KEY,
    GetOpticalServices,
    Intent,
    OpticalService,
    OpticalServices,
    ReleaseOpticalServices,
    RequestOpticalService,
)
from quoit.runtime.context import Context

S = 1_000_000_000
LOOK_NS = 2 * S
WITHIN_NS = 120 * S
"""Several services are opened, and their switches settle."""
HELPS = ("no-route", "not-admitted")
"""Refusals of sessions that light may help against."""


class IntentLight:
    """Asks the element `optical`; None: nobody can be asked."""

    def __init__(self, optical: str | None) -> None:
        self._optical = optical

    async def ask(
        self, ctx: Context, intent: Intent, ends: tuple[str, ...], problem: Problem
    ) -> tuple[tuple[OpticalService, ...], str]:
        """What was lit, and the words for it or for why nothing was; no words if light is not the point."""
        targets, ends = intent.expression.targets, tuple(dict.fromkeys(ends))
        if problem.code not in HELPS or len(ends) < 2:
            return (), ""
        if self._optical is None:
            return (), "no controller of optical services is there to be asked for light"
        if intent.expression.kind != KEY:
            return (), "light is asked for links of keys only"
        wanted = RequestOpticalService(
            intent.intent_id, ends[0], ends[1], problem.detail, targets.most_transit, targets.avoid,
            problem.code == "not-admitted",
        )  # fmt: skip
        try:
            found: OpticalServices = await ctx.ask(self._optical, wanted, within=WITHIN_NS)
        except Problem as refused:
            if refused.code == "deadline":
                await self.give_back(ctx, intent.intent_id)  # it may have come about all the same
            return (), f"light between {wanted.a} and {wanted.b}: {words(refused)}"
        return found.rows, "; ".join(map(_lit, found.rows))

    async def give_back(self, ctx: Context, intent_id: str) -> str:
        """What the intent had lit; others may need it still. Says what is closed, in words."""
        if self._optical is None:
            return ""
        try:
            gone: OpticalServices = await ctx.ask(self._optical, ReleaseOpticalServices(intent_id), within=WITHIN_NS)
        except Problem as problem:
            ctx.log.warning("intent.light_not_released", intent=intent_id, code=problem.code)
            return ""
        return f"light given back: {', '.join(row.service for row in gone.rows)}" if gone.rows else ""

    async def now(self, ctx: Context, intent_id: str, rows: tuple[OpticalService, ...]) -> tuple[OpticalService, ...]:
        """How the light stands now; as it was, if nobody says."""
        if not rows or self._optical is None:
            return rows
        try:
            found: OpticalServices = await ctx.ask(self._optical, GetOpticalServices(intent_id), within=LOOK_NS)
        except Problem:
            return rows
        return found.rows


def words(problem: Problem) -> str:
    """A problem as an explanation has it."""
    return f"{problem.row.title}: {problem.detail}" if problem.detail else problem.row.title


def _lit(row: OpticalService) -> str:
    """A service that has light, in words."""
    companion = f", its companion at {row.companion_mhz / 1e6:.4f} THz" if row.companion_mhz else ""
    where = f"over {', '.join(row.spans)} at {row.centre_mhz / 1e6:.4f} THz{companion}"
    return f"light for link {row.link}: optical service {row.service} {where}"
