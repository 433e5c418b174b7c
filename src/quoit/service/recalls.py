"""Keys that are void: quarantined, recalled, withdrawn; at every KME that has a copy."""

from __future__ import annotations

from quoit.fabric import api as fabric
from quoit.fabric.api import GetIncidents, Incidents, LinkQuarantined, LinkReleased
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.runtime.wire import Message, message
from quoit.service.holder import WITHIN, KeyHolder
from quoit.service.keystore import CancelOp, FindAllOp, Handout, LevelOp, ReadmitOp, Voided, VoidOp
from quoit.service.peer import Mirrored, Withdraw


@message("service.Recall")
class Recall(Message):
    """A KME to itself: tell this peer which keys are void, however long it takes to reach it."""

    kme: str


class RecallDesk(KeyHolder):
    """Voids what stands on quarantined blocks, and has copies void elsewhere."""

    subscribes = (f"{fabric.LINK_NEWS}.*.quarantined", f"{fabric.LINK_NEWS}.*.released")

    async def _hear_of_incidents(self, ctx: Context) -> None:
        """Void what stands on blocks that were quarantined while nobody was here to hear of it, and take in again
        what was released. Raises the `Problem` if nobody answers."""
        told: Incidents = await ctx.ask(fabric.UPKEEP, GetIncidents(), within=WITHIN)
        for incident in told.incidents:
            if incident not in self._incidents:
                await self._quarantine(ctx, incident.link, incident.first_block, incident.last_block, again=True)
                await self._do(ctx, ReadmitOp(incident.link, incident.last_block + 1, ctx.now))
        self._incidents = told.incidents

    @handles(LinkQuarantined)
    async def on_quarantined(self, ctx: Context, msg: LinkQuarantined) -> None:
        await self._quarantine(ctx, msg.link, msg.first_block, msg.last_block)

    async def _quarantine(
        self, ctx: Context, link: str, first_block: int, last_block: int, again: bool = False
    ) -> None:
        """Void what stands on these blocks. `again`: it may have been done and told before."""
        voided: Voided = await self._do(ctx, VoidOp(link, first_block, last_block, ctx.now))
        for stream in list(self._streams.values()):
            self._level(ctx, stream, await self._do(ctx, LevelOp(stream.name)))
            self._want(ctx, stream)
        if voided.stream_bits or voided.key_ids or (voided.delivered_key_ids and not again):
            ctx.emit(
                "keys.voided",
                link=link,
                first_block=first_block,
                stream_bits=voided.stream_bits,
                key_ids=list(voided.key_ids),
                number=len(voided.key_ids),
                delivered=len(voided.delivered_key_ids),
            )
        await self._recall_copies(ctx, voided)

    @handles(LinkReleased)
    async def on_released(self, ctx: Context, msg: LinkReleased) -> None:
        await self._do(ctx, ReadmitOp(msg.link, msg.from_block, ctx.now))

    async def _recall_copies(self, ctx: Context, voided: Voided) -> None:
        """Keys of several KMEs are void at all of them, be it their own bits or a copy's pad that is suspect."""
        by_kme: dict[str, list[str]] = {}
        hit = sorted({k.partition("/pad/")[0] for k in (*voided.key_ids, *voided.delivered_key_ids)})
        known: tuple[Handout, ...] = await self._do(ctx, FindAllOp(tuple(hit))) if hit else ()
        for found in known:
            if found.master not in self._apps:
                continue  # its master's KME sees to it
            kmes = await self._kmes_of(ctx, found)
            if len(kmes) > 1 or self._apps.keys() & set(found.slaves):
                for kme in (*kmes, self.name):
                    by_kme.setdefault(kme, []).append(found.key_id)
        await self._recall(ctx, {kme: tuple(key_ids) for kme, key_ids in by_kme.items()})

    async def _recall(self, ctx: Context, by_kme: dict[str, tuple[str, ...]]) -> None:
        """Have keys void here, and at each KME that can be reached; the others hear of it when they can."""
        if self.name in by_kme:
            await self._do(ctx, CancelOp(by_kme.pop(self.name), ctx.now))
        for kme, key_ids in sorted(by_kme.items()):
            waiting = self._recalls.setdefault(kme, [])
            waiting += key_ids
            if len(waiting) == len(key_ids):  # else it cannot be reached just now, and will be told
                await self._tell_recalls(ctx, kme)

    def _recall_later(self, ctx: Context, kme: str, key_ids: tuple[str, ...], after: int = 0) -> None:
        """Have keys void at a peer without waiting for it."""
        waiting = self._recalls.setdefault(kme, [])
        if not waiting:
            ctx.tell(self.name, Recall(kme), after=after)
        waiting += key_ids

    async def _tell_recalls(self, ctx: Context, kme: str) -> None:
        key_ids = tuple(self._recalls.pop(kme, ()))
        if not key_ids:
            return
        try:
            await ctx.ask(kme, Withdraw(key_ids), within=WITHIN)
        except Problem as problem:
            ctx.log.warning("withdraw.unconfirmed", kme=kme, code=problem.code)
            self._recall_later(ctx, kme, key_ids, self.policy.retry_ns)

    @handles(Recall)
    async def on_recall(self, ctx: Context, msg: Recall) -> None:
        await self._tell_recalls(ctx, msg.kme)

    @handles(Withdraw)
    async def on_withdraw(self, ctx: Context, msg: Withdraw) -> Mirrored:
        """Void keys that are void elsewhere. The master's KME knows of all copies, and passes it on."""
        await self._do(ctx, CancelOp(msg.key_ids, ctx.now))
        ctx.emit("keys.withdrawn", key_ids=list(msg.key_ids))
        known: tuple[Handout, ...] = await self._do(ctx, FindAllOp(msg.key_ids))
        by_kme: dict[str, list[str]] = {}
        for found in known:
            kmes = await self._kmes_of(ctx, found) if found.master in self._apps else []
            if len(kmes) > 1:
                for kme in kmes:
                    by_kme.setdefault(kme, []).append(found.key_id)
        for kme, key_ids in sorted(by_kme.items()):
            self._recall_later(ctx, kme, tuple(key_ids))
        return Mirrored(len(msg.key_ids), None)
