"""The dialect of TeraFlowSDN's transport API driver, translated to TAPI 2.4.0; a switch for one listener.

The driver (TeraFlowSDN, `src/device/service/drivers/transport_api`, Apache-2.0, read and run as a description of its
requests) has the shapes of TAPI 2.1 and writes application/json. It asks for a media channel by a capacity in GHz,
which is the channel's width in 2.4.0, gives the direction inside of the constraint, and calls the layer network media
channel, which 2.4.0 has no word for. It reads the whole context, and gives up if that has no list of services.
TeraFlowSDN's general RESTCONF client comes in here, too: it also accepts application/json alone.

What else it might ask of a service stays as it is, and is refused where TAPI 2.4.0 has no such thing.
"""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from quoit.interfaces.restconf.errors import RestconfError, bad_value
from quoit.interfaces.restconf.exchange import DATA, HOST_META, Request, Response, refusal
from quoit.interfaces.restconf.server import Handler
from quoit.interfaces.strict_json import decode_object, shown
from quoit.interfaces.tapi import codec
from quoit.model.problem import Problem

PLAIN = "application/json"
SERVICES = "tapi-connectivity:connectivity-service"
NMC, MC = (f"tapi-photonic-media:PHOTONIC_LAYER_QUALIFIER_{layer}" for layer in ("NMC", "MC"))
GIGAHERTZ = 10**9
_SPEC = "tapi-photonic-media:mcg-connectivity-service-end-point-spec"


class TeraFlowTapi:
    """A TAPI server for clients of that dialect; give it to a listener in the server's place. Requests of RFC 8040 are
    answered as without it."""

    def __init__(self, core: Handler, root: str = "/restconf") -> None:
        self.core = core
        self.limits = core.limits
        self._context = f"{root}/data/{codec.CONTEXT}"

    async def close(self) -> None:
        await self.core.close()

    async def handle(self, request: Request) -> Response:
        """The answer, in TAPI 2.4.0 but for the list of services, which is there if it is empty, too."""
        try:
            translated = self._translated(request)
        except RestconfError as error:
            return refusal(error)
        response = await self.core.handle(translated)
        if request.method != "GET" or request.path != self._context or response.status != 200:
            return response
        body = response.json()
        body[codec.CONTEXT].setdefault(codec.CONNECTIVITY, {}).setdefault("connectivity-service", [])
        return Response(200, msgspec.json.encode(body), response.headers)

    def _translated(self, request: Request) -> Request:
        if request.headers.get("accept", "").strip().lower() == PLAIN and request.path != HOST_META:
            request = replace(request, headers={**request.headers, "accept": "*/*"})
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != PLAIN or not request.body:
            return request
        try:
            body = decode_object(request.body, self.limits.json_depth)
        except Problem as problem:
            raise RestconfError("malformed-message", problem.detail, kind="protocol") from None
        services = body.get(SERVICES)
        if isinstance(services, list):
            body[SERVICES] = [_service(row) if isinstance(row, dict) else row for row in services]
        headers = {**request.headers, "content-type": DATA}
        return replace(request, headers=headers, body=json.dumps(body).encode())


def _service(row: dict[str, Any]) -> dict[str, Any]:
    """A connectivity service of TAPI 2.1 as one of 2.4.0."""
    constraint = row.get("connectivity-constraint")
    points = row.get("end-point")
    if not isinstance(constraint, dict) or not isinstance(points, list):
        return row
    constraint = dict(constraint)
    direction = constraint.pop("connectivity-direction", None)
    capacity = constraint.pop("requested-capacity", None)
    channel = [] if capacity is None else _channel(capacity)
    found = {name: value for name, value in row.items() if name != "connectivity-constraint"}
    found["end-point"] = [_point(point, channel) if isinstance(point, dict) else point for point in points]
    if direction is not None:
        found["direction"] = direction
    return {**found, "connectivity-constraint": constraint} if constraint else found


def _point(point: dict[str, Any], channel: list[dict[str, Any]]) -> dict[str, Any]:
    point = dict(point)
    if point.get("layer-protocol-qualifier") == NMC:
        point["layer-protocol-qualifier"] = MC
    if channel:
        point["layer-protocol-constraint"] = channel
    return point


def _channel(capacity: Any) -> list[dict[str, Any]]:
    """A capacity as the width of one media channel."""
    size = capacity.get("total-size") if isinstance(capacity, dict) else None
    size = size if isinstance(size, dict) else {}
    if size.get("unit") != "GHz":
        raise bad_value(f"requested-capacity: a channel of light has a width in GHz, found {shown(size.get('unit'))}")
    value = size.get("value")
    try:
        hertz = Decimal(str(value)) * GIGAHERTZ
        exact = hertz == hertz.to_integral_value()
    except InvalidOperation:
        exact, hertz = False, Decimal(0)
    if not exact or hertz <= 0:
        raise bad_value(f"requested-capacity: expected a number of GHz above 0, found {shown(value)}")
    spec = {"mc-bandwidth-config-pac": [{"local-id": "channel", "spectrum-bandwidth": str(int(hertz))}]}
    return [{"local-id": "channel", _SPEC: spec}]
