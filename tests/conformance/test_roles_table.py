"""The table of roles against the listeners: every role and operation; what is not in it is denied."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fake_kme import URNS, FakeGate

from quoit.adapters.crypto.pki import Authority, Issued, PkiError
from quoit.interfaces.enrolment.server import make_enrolment
from quoit.interfaces.identity import Identities, Peer
from quoit.interfaces.northbound import make_app
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.datastore import DEFAULT_LIMITS
from quoit.interfaces.restconf.exchange import Request, Response
from quoit.interfaces.restconf.library import ModuleSet
from quoit.interfaces.restconf.schema import Schema
from quoit.interfaces.restconf.server import RestconfApp
from quoit.model.role import MAY, NAMED, Operation, Role, may
from quoit.scenario import orchestration_door
from quoit.scenario.agent_doors import MODULES, agent_access, agent_identities
from quoit.scenario.joining import AgentIdentities
from quoit.scenario.operator import OperatorSocket, RoleGate, role_identities
from quoit.scenario.optical_door import ROLES as OPTICAL_ROLES
from quoit.scenario.optical_door import ByRole, rules

UNIT = "/api/v1/units/0b9e6d7a-6f0c-4f43-9d0e-6a2b3b9ad3c5"
KEYS = "/api/v1/keys/bob"
NODE = "/restconf/data/etsi-qkd-sdn-node:qkd_node"
OPTICAL = (Operation.READ_OPTICS, Operation.CONFIGURE_OPTICS)
ASKED: dict[Operation, tuple[tuple[str, str], ...]] = {
    Operation.TAKE_KEYS: (
        ("GET", f"{KEYS}/status"),
        ("GET", f"{KEYS}/enc_keys"),
        ("POST", f"{KEYS}/enc_keys"),
        ("GET", f"{KEYS}/dec_keys"),
        ("POST", f"{KEYS}/dec_keys"),
    ),
    Operation.USE_UNITS: (
        ("GET", "/api/v1/sessions"),
        ("POST", "/api/v1/sessions"),
        ("GET", f"/api/v1/sessions/{UNIT[-36:]}"),
        ("DELETE", f"/api/v1/sessions/{UNIT[-36:]}"),
        ("GET", "/api/v1/units"),
        ("POST", "/api/v1/units"),
        ("GET", UNIT),
        ("DELETE", UNIT),
        ("POST", "/api/v1/memories"),
        ("GET", "/api/v1/messages"),
    ),
    Operation.DESCRIBE: (("GET", "/openapi.json"), ("GET", "/api/v1/keys/openapi.json"), ("GET", "/livez")),
    Operation.READ: tuple(
        (method, f"/{path}")
        for path in (
            "links",
            "spans",
            "channels",
            "services",
            "works",
            "units",
            "alarms",
            "loops",
            "assurance",
            "telemetry",
            "footprint",
            "events",
            "doors",
            "parts",
            "status",
            "metrics",
            "livez",
            "readyz",
        )
        for method in ("GET", "HEAD")
    ),
    Operation.STRIKE: (("POST", "/strike"), ("POST", "/loops"), ("POST", "/works"), ("POST", "/tokens")),
    # The rules do not depend on the modules; those of TAPI are not part of quoit, so another one stands in.
    Operation.READ_OPTICS: (("GET", "/restconf/data"), ("HEAD", "/restconf/data")),
    Operation.CONFIGURE_OPTICS: (("PUT", NODE), ("PATCH", NODE), ("DELETE", NODE)),
    Operation.READ_NODE: (("GET", NODE), ("GET", "/restconf/streams/NETCONF/json")),
    Operation.EDIT_NODE: (("PUT", f"{NODE}/qkdn_version"), ("PATCH", NODE), ("DELETE", f"{NODE}/qkd_links")),
    Operation.VIEW: (
        ("GET", "/tmf-api/intentManagement/v5/intent"),
        ("HEAD", "/restconf/data"),
        ("GET", "/restconf/streams/NETCONF/json"),
    ),
    Operation.ORCHESTRATE: (
        ("POST", "/tmf-api/intentManagement/v5/intent"),
        ("PATCH", UNIT),
        ("DELETE", UNIT),
        ("PUT", "/restconf/data/quoit-orchestration:planned-works"),
        ("POST", "/restconf/operations/quoit-orchestration:app-registration"),
    ),
    Operation.REGISTER: (("GET", "/enrol/v1/equipment"), ("POST", "/enrol/v1/interfaces")),
}
MANAGEMENT = (Operation.READ, Operation.STRIKE)
ORCHESTRATES = (Operation.VIEW, Operation.ORCHESTRATE)
AGENT = (Operation.READ_NODE, Operation.EDIT_NODE)
DENIED = (401, 403)


class Listeners:
    """The applications of both listeners as `quoit up` puts them together, and certificates of every role."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory / "pki", "test")
        self.gate = FakeGate()
        self.kme = make_app(self.gate, "kme-a", eme="kme-a")
        self.applications = Identities.of(URNS.items(), is_revoked=self.authority.is_revoked)
        self.management = RoleGate(_Everything())
        self.roles = role_identities(self.authority.is_revoked)
        self.orchestration = RoleGate(_Everything(), orchestration_door.OPERATIONS)
        self.orchestrators = role_identities(self.authority.is_revoked, orchestration_door.ROLES)
        self.enrolment = make_enrolment(_Desk())
        self.devices = AgentIdentities(frozenset({"alice"}), self.authority.is_revoked)
        modules = ModuleSet.of(["etsi-qkd-sdn-node"])
        self.optics = RestconfApp(
            ByRole(Restconf(modules, now=lambda: datetime(2026, 1, 1, tzinfo=UTC), access=rules()))
        )
        self.optical_roles = role_identities(self.authority.is_revoked, OPTICAL_ROLES)
        self.agent = RestconfApp(_Node())
        self.agents = agent_identities(self.authority.is_revoked)

    def leaf(self, role: Role, name: str = "alice") -> Issued:
        if role is Role.SAE:
            return self.authority.issue_application(name, URNS[name])
        if role is Role.KME:
            return self.authority.issue_kme(name, ["127.0.0.1"], ["localhost"])
        return self.authority.issue_role(role, name)

    def status(self, leaf: Issued, operation: Operation, method: str, path: str) -> int:
        """Of an answer to whoever came in with this certificate."""
        app, identities = self.door(operation)
        return answer(app, identities.read(der(leaf)), method, path)

    def door(self, operation: Operation) -> tuple[Any, Any]:
        """The application that the operation is asked of, and how it knows who asks."""
        doors: tuple[tuple[tuple[Operation, ...], Any, Any], ...] = (
            (MANAGEMENT, self.management, self.roles),
            (ORCHESTRATES, self.orchestration, self.orchestrators),
            ((Operation.REGISTER,), self.enrolment, self.devices),
            (AGENT, self.agent, self.agents),
            (OPTICAL, self.optics, self.optical_roles),
        )
        found = ((app, identities) for operations, app, identities in doors if operation in operations)
        return next(found, (self.kme, self.applications))


class _Desk:
    """Behind the enrolment listener: whoever gets here has been let in."""

    def equipment(self, node: str) -> tuple[Any, ...]:
        return ()


class _Node:
    """An agent's server without an agent: its rules of access decide, and whoever they let through has been let in."""

    limits = DEFAULT_LIMITS

    def __init__(self) -> None:
        self._core = Restconf(Schema(ModuleSet.of(MODULES)), now=lambda: datetime.now(UTC), access=agent_access())

    async def handle(self, request: Request) -> Response:
        node = self._core.schema.member(self._core.schema.root, "etsi-qkd-sdn-node:qkd_node")
        verb = {"GET": "read", "PUT": "update", "PATCH": "update", "DELETE": "delete"}[request.method]
        return Response(200 if agent_access().may(request.caller, verb, node) else 403)

    async def close(self) -> None: ...


class _Everything:
    """Stands behind the gate of roles: whoever gets here has been let in."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def der(leaf: Issued) -> bytes:
    return x509.load_pem_x509_certificate(leaf.chain.read_bytes()).public_bytes(Encoding.DER)


def answer(app: Any, peer: Peer | None, method: str, path: str) -> int:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "https",
        "headers": [(b"content-type", b"application/json")], "client": None, "server": ("kme", 443),
        "state": {} if peer is None else {"peer": peer},
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return int(sent[0]["status"])


@pytest.fixture(scope="module")
def listeners(tmp_path_factory: pytest.TempPathFactory) -> Listeners:
    return Listeners(tmp_path_factory.mktemp("roles"))


CELLS = [(role, operation, *asked) for role in Role for operation, all_of in ASKED.items() for asked in all_of]


@pytest.mark.realises("G3")
@pytest.mark.parametrize(
    ("role", "operation", "method", "path"), CELLS, ids=[f"{r}-{o.name}-{m}-{p}" for r, o, m, p in CELLS]
)
def test_what_the_table_does_not_list_is_denied(
    role: Role, operation: Operation, method: str, path: str, listeners: Listeners
) -> None:
    """The common name is an application's each time: it helps nobody who has another role."""
    before = len(listeners.gate.asked)
    status = listeners.status(listeners.leaf(role), operation, method, path)
    assert (status not in DENIED) == may(role, operation), status
    if status in DENIED:
        assert len(listeners.gate.asked) == before  # refused at the edge: no element was asked


@pytest.mark.realises("G3")
@pytest.mark.parametrize("operation", sorted(set(Operation) - {Operation.DESCRIBE}))
def test_nobody_and_whoever_has_two_roles_are_denied(operation: Operation, listeners: Listeners) -> None:
    app, _ = listeners.door(operation)
    nameless = Peer(None, "0" * 64, 1, 0.0, "no application is registered under a name of this certificate")
    for method, path in ASKED[operation]:
        assert answer(app, None, method, path) == 401
        assert answer(app, nameless, method, path) == 401


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_a_method_that_is_no_operation_is_denied_to_all(method: str, listeners: Listeners) -> None:
    for role in Role:
        assert listeners.status(listeners.leaf(role), Operation.READ, method, "/status") in DENIED


def test_the_table_has_a_row_for_each_operation_and_the_operator_gets_no_keys() -> None:
    assert set(MAY) == set(Operation) == set(ASKED)
    assert not any(may(role, Operation.TAKE_KEYS) or may(role, Operation.USE_UNITS) for role in NAMED)
    assert {Role.AGENT, Role.CONTROLLER} <= NAMED
    mine = {role: {operation for operation in Operation if may(role, operation)} for role in Role}
    assert mine[Role.KME] == {Operation.DESCRIBE}
    assert mine[Role.AGENT] == {Operation.DESCRIBE, Operation.REGISTER}
    assert mine[Role.CONTROLLER] == {Operation.DESCRIBE, *ORCHESTRATES, *OPTICAL, *AGENT}
    assert [role for role in Role if may(role, Operation.EDIT_NODE)] == [Role.CONTROLLER]


def test_what_management_shows_is_what_this_test_asks_for() -> None:
    routes = OperatorSocket(Path("none"), _host()).app().routes
    shown = {(method, route.path) for route in routes for method in route.methods}  # type: ignore[attr-defined]
    assert shown == {*ASKED[Operation.READ], *ASKED[Operation.STRIKE]}


def _host() -> Any:
    instruments = SimpleNamespace(rows=list)
    return SimpleNamespace(twin=SimpleNamespace(kernel=SimpleNamespace(instruments=instruments)), news=None)


def test_applications_have_names_and_no_role(listeners: Listeners) -> None:
    with pytest.raises(PkiError, match="issue_application"):
        listeners.authority.issue_role(Role.SAE, "alice")
