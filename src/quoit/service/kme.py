"""The key management entity: the endpoint where applications get keys, alone or as service units (B6, C8).

A KME keeps a stream of end-to-end key for every KME that its applications talk to (`reserve`), serves keys from
them (`keydesk`), and shows each key as the unit that it is (here).
"""

from __future__ import annotations

import msgspec

from quoit.model.lifecycle import Lifecycle
from quoit.model.problem import Problem
from quoit.model.urn import Urn, covers, endpoint_equivalent
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.service.api import CloseUnit, GetUnit, ListUnits, OpenKeys, OpenUnit, Unit, Units
from quoit.service.holder import WITHIN, App
from quoit.service.hybriddesk import HybridDesk
from quoit.service.keystore import CancelOp, FindOp, Handout, ListOp
from quoit.service.peer import PeerUnit, PeerView, Withdraw
from quoit.service.units import state_of, unit_of

__all__ = ["App", "Kme"]


class Kme(HybridDesk):
    """One key management entity."""

    realises = ("B4", "B6", "C2", "C3", "C5", "C7", "C8")

    # -- service units -------------------------------------------------------------------------------

    @handles(OpenUnit)
    async def on_open_unit(self, ctx: Context, msg: OpenUnit) -> Unit:
        """Open a unit by its URNs: the key behind it, handed to the originator with the answer. The other
        endpoints take it by its key_ID."""
        app = self._app(msg.originator)
        lifecycle = Lifecycle.parse(msg.lifecycle, self._namespace)
        others = []
        for text in msg.endpoints:
            urn = self._namespace.endpoint(text)
            if not endpoint_equivalent(urn, Urn.parse(app.attachment.urn)):
                others.append((await self._resolve(ctx, app, urn.assigned_name)).sae)
        if len(others) != len(msg.endpoints) - 1:
            raise Problem("malformed", "the originator is one of the endpoints, once")
        if not others:
            raise Problem("malformed", "a unit has at least two endpoints")
        left = None
        if lifecycle.valid_until_unix_s is not None:
            left = self._calendar.ns_of(lifecycle.valid_until_unix_s) - ctx.now
            if left <= 0:
                raise Problem("bad-lifecycle", "valid-until has passed")
        request = OpenKeys(msg.originator, others[0], 1, (msg.unit_id,), lifecycle.size, tuple(others[1:]), left)
        keys = await self.on_open_keys(ctx, request)
        unit = await self._unit(ctx, msg.originator, msg.unit_id)
        return msgspec.structs.replace(unit, content=keys.keys[0].value)

    @handles(GetUnit)
    async def on_get_unit(self, ctx: Context, msg: GetUnit) -> Unit:
        self._app(msg.caller)
        return await self._unit(ctx, msg.caller, msg.unit_id)

    @handles(ListUnits)
    async def on_list_units(self, ctx: Context, msg: ListUnits) -> Units:
        self._app(msg.caller)
        found: tuple[Handout, ...] = await self._do(ctx, ListOp(msg.caller, msg.limit))
        units = [await self._shown(ctx, handout) for handout in found]
        if msg.prefix is not None:
            prefix = Urn.parse(msg.prefix)
            units = [u for u in units if any(covers(prefix, Urn.parse(e)) for e in u.endpoints)]
        return Units(tuple(u for u in units if msg.state is None or u.state == msg.state))

    @handles(CloseUnit)
    async def on_close_unit(self, ctx: Context, msg: CloseUnit) -> Unit:
        """End a unit before its time: no party gets its content any more, at any end."""
        self._app(msg.caller)
        handout = await self._handout(ctx, msg.caller, msg.unit_id)
        for kme in await self._kmes_of(ctx, handout):
            await ctx.ask(kme, Withdraw((msg.unit_id,)), within=WITHIN)
        await self._do(ctx, CancelOp((msg.unit_id,), ctx.now))
        ctx.emit("unit.closed", unit_id=msg.unit_id, caller=msg.caller)
        self._news(ctx, (msg.unit_id,), (msg.caller,), ("failed",))
        return await self._unit(ctx, msg.caller, msg.unit_id)

    @handles(PeerUnit)
    async def on_peer_unit(self, ctx: Context, msg: PeerUnit) -> PeerView:
        found: Handout | None = await self._do(ctx, FindOp(msg.key_id))
        return PeerView("unknown", ()) if found is None else PeerView(found.state, found.delivered)

    async def _unit(self, ctx: Context, caller: str, unit_id: str) -> Unit:
        return await self._shown(ctx, await self._handout(ctx, caller, unit_id))

    async def _handout(self, ctx: Context, caller: str, unit_id: str) -> Handout:
        """The key behind a unit, for one of its parties. `unknown-unit`, `foreign-unit`."""
        found: Handout | None = await self._do(ctx, FindOp(unit_id))
        if found is None:
            raise Problem("unknown-unit")
        if caller not in (found.master, *found.slaves):
            raise Problem("foreign-unit")
        return found

    async def _shown(self, ctx: Context, handout: Handout) -> Unit:
        urns = {sae: await self._urn(ctx, sae) for sae in (handout.master, *handout.slaves)}
        route = next((s.route for s in self._streams.values() if s.name == handout.stream), ())
        unit = unit_of(
            handout, state_of(handout), urns.__getitem__, self._namespace, self._calendar.unix_s, self._domain, route
        )
        if handout.state != "done" or handout.master not in self._apps:
            return unit
        # The master's store is done with a key once the master has it: its slaves' KMEs know the rest.
        taken: tuple[str, ...] = ()
        for kme in await self._kmes_of(ctx, handout):
            view: PeerView = await ctx.ask(kme, PeerUnit(handout.key_id), within=WITHIN)
            taken += view.delivered
            if view.state in ("void", "expired"):
                handout = msgspec.structs.replace(handout, state=view.state)
        return msgspec.structs.replace(unit, state=str(state_of(handout, taken)))

    async def _urn(self, ctx: Context, sae: str) -> str:
        return (await self._attachment(ctx, sae)).urn
