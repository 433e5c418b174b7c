"""THE table of problems: what can go wrong between elements and at the edges, in one place.

Elements raise `Problem(code)`; edges render it by the row of the table. Nobody writes a status code or
a title anywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple


class Blame(StrEnum):
    """Who has to change something so that the problem goes away."""

    CALLER = "caller"
    PEER = "peer"
    NETWORK = "network"
    US = "us"


class Row(NamedTuple):
    """One kind of problem. `status` is the HTTP status that edges answer with."""

    code: str
    title: str
    status: int
    blame: Blame
    mend: str


_C, _P, _N, _U = Blame.CALLER, Blame.PEER, Blame.NETWORK, Blame.US

_ROWS = (
    Row("malformed", "the request cannot be read", 400, _C, "send what the interface's OpenAPI file describes"),
    Row("bad-size", "size is outside what this KME serves", 400, _C, "ask the status for min and max key size"),
    # Titles of size-not-multiple-of-8, the three *-extension-* rows and key-not-found are normative
    # strings of ETSI GS QKD 014 V1.1.1 cl. 6.2 and 6.4: do not edit them.
    Row("size-not-multiple-of-8", "size shall be a multiple of 8", 400, _C, "use a size in whole bytes"),
    Row(
        "bad-number",
        "number is outside what this KME serves",
        400,
        _C,
        "ask the status for max_key_per_request",
    ),
    Row("bad-key-id", "key_ID is not a UUID", 400, _C, "send the key_ID as enc_keys gave it"),
    Row("bad-sae-id", "the SAE ID in the path cannot be read", 400, _C, "percent-encode the SAE ID once"),
    Row("self-pair", "an SAE cannot share a key with itself", 400, _C, "name the other SAE in the path"),
    Row("bad-additional", "additional_slave_SAE_IDs cannot be served", 400, _C, "name distinct other SAEs"),
    Row(
        "mandatory-extension-unsupported",
        "not all extension_mandatory parameters are supported",
        400,
        _C,
        "drop the extension or mark it optional",
    ),
    Row(
        "mandatory-extension-unmet",
        "not all extension_mandatory request options could be met",
        400,
        _C,
        "relax the extension's value",
    ),
    Row(
        "optional-extension-refused",
        "not all extension_optional request options handled",
        400,
        _C,
        "drop the extension",
    ),
    Row(
        "key-not-found",
        "one or more keys specified are not found on KME",
        400,
        _C,
        "keys are handed out once to each party, before they expire; open a new one",
    ),
    Row("not-authorised", "not authorised for this key", 401, _C, "ask with the certificate of a party"),
    Row(
        "no-identity",
        "no verified client certificate",
        401,
        _C,
        "connect with a certificate of this network's PKI",
    ),
    Row("unknown-sae", "no such SAE can be reached", 400, _C, "check the SAE ID in the path"),
    # Must read the same, so that a stranger does not learn what exists; edges answer both as unknown-unit.
    Row("unknown-unit", "no such service unit", 404, _C, "list your units"),
    Row("foreign-unit", "no such service unit", 404, _C, "list your units"),
    Row("session-exists", "there is a session with this application", 409, _C, "close it, or use it"),
    Row("unknown-session", "no such session", 404, _C, "list your sessions"),
    Row("unknown-intent", "no such intent", 404, _C, "list the intents"),
    Row("intent-over", "the intent is over", 409, _C, "state a new one"),
    Row("unknown-path", "no such service link or candidate path", 404, _C, "ask for candidate paths again"),
    Row("bad-token", "the token opens nothing", 401, _C, "have the operator make a new one"),
    Row("too-many-attempts", "too many attempts", 429, _C, "wait, and try once"),
    Row("not-joining", "the node does not join now", 409, _C, "see the network file, and which nodes have joined"),
    Row("malformed-urn", "not a URN", 400, _C, "write it as RFC 8141 says: urn:NID:NSS"),
    Row(
        "bad-lifecycle",
        "the lifecycle cannot be kept",
        400,
        _C,
        "give size in bits and a valid-until to come",
    ),
    Row("bad-transition", "a unit cannot go from one of these states to the other", 409, _U, "report it"),
    Row("unit-exists", "the identifier is in use", 409, _C, "draw a new identifier"),
    Row("not-admitted", "the network cannot give this rate now", 503, _N, "ask for offered_bps or wait"),
    Row("quality-unreachable", "this network never answers so fast", 409, _C, "ask for offered_latency_ns or more"),
    Row("no-key-material", "not enough key material now", 503, _N, "wait for the refill, or ask for less"),
    Row("rate-exceeded", "the application's agreed rate is used up", 503, _C, "ask more slowly"),
    Row("no-route", "no route to the other KME now", 503, _N, "wait until a link comes back"),
    Row("no-controller", "no controller of the fabric answers now", 503, _N, "wait; keys on known routes flow on"),
    Row("link-quarantined", "a link on the way is in quarantine", 503, _N, "wait for its release"),
    Row("peer-unreachable", "the other KME does not answer", 503, _P, "try again"),
    Row("store-failed", "the key store failed", 503, _U, "see the operator's log; restart the KME"),
    Row("deadline", "no answer in time", 503, _N, "try again"),
    Row("overloaded", "too many requests wait", 503, _U, "ask more slowly"),
    Row("not-ready", "the twin is not ready", 503, _U, "wait for /readyz"),
    Row("not-faithful", "the twin runs behind its own time", 503, _U, "lower the speed or the load"),
    Row("tag-mismatch", "a classical message failed its authentication", 503, _N, "the block is discarded"),
    Row("auth-key-exhausted", "no key left to authenticate with", 503, _N, "give the link a new bootstrap key"),
    Row("bad-operation", "this cannot be done with these qubits", 400, _C, "see the unit for what its addresses hold"),
    Row("bad-qubit-state", "a memory's qubit cannot go from one of these states to the other", 500, _U, "report it"),
    Row("no-time", "this cannot be done in the time given", 409, _C, "ask for less, or give it longer"),
    Row("not-receiving", "the other side does not receive for this purpose", 503, _P, "let it receive, then try again"),
    Row("no-memory", "not enough free memories", 503, _N, "wait, or ask for fewer states"),
    Row(
        "fidelity-unreachable",
        "the network cannot promise this fidelity",
        409,
        _C,
        "ask for the fidelity that the answer offers",
    ),
    Row("not-rebindable", "the unit's states cannot be made anew", 409, _C, "see why; open another unit"),
    Row("pre-empted", "a unit of higher priority took its place", 503, _N, "ask again, or with a higher priority"),
    Row(
        "promise-contradicted",
        "test rounds contradict the promised fidelity",
        503,
        _N,
        "ask again: links under suspicion are avoided where there are others",
    ),
    Row(
        "tests-inconclusive",
        "the test rounds do not show the fidelity with this confidence",
        409,
        _C,
        "ask for more tests, for less confidence or for less fidelity",
    ),
    Row("link-suspect", "tests of the only links there contradict their promise", 503, _N, "ask with tests, or wait"),
    Row("above-stage", "the domain does not offer this", 409, _C, "ask for what its stage allows"),
    Row("spectrum-taken", "the spectrum is taken", 409, _C, "ask for the free spectrum of these spans"),
    Row("channel-exists", "there is such a channel", 409, _C, "give it another name, or retune it"),
    Row("cannot-give-way", "something is in the way of the works", 409, _C, "plan them for later, or say force"),
    Row("switching", "the channel is being switched", 503, _N, "try again when its switches have settled"),
    Row("resource-locked", "another loop has this resource", 503, _N, "wait until it is done"),
    Row("unknown-site", "no such site in the plant", 404, _C, "ask for the topology"),
    Row("no-such-element", "no such element in this scenario", 404, _C, "check the name"),
    Row("config-refused", "the configuration is refused", 409, _C, "see the error's tag and path, and mend the edit"),
    Row("stale-epoch", "another controller has taken over", 409, _C, "read who has it; take over with a higher epoch"),
    Row("config-changed", "somebody else has changed it since", 412, _C, "read it again and repeat the edit"),
    Row("no-such-data", "no such data resource", 404, _C, "read what is above it to see what is there"),
    Row("access-denied", "not allowed", 403, _C, "ask the server's operator for the right"),
    Row("not-supported", "the server does not do this", 501, _P, "see its YANG library and capabilities"),
    Row("peer-failed", "the server failed", 502, _P, "see its log"),
    Row("bad-answer", "the answer is not what the protocol says", 502, _P, "report it to whoever makes the server"),
    Row("method-not-allowed", "method not allowed here", 405, _C, "see the Allow header"),
    Row("no-such-path", "no such path", 404, _C, "see the OpenAPI file"),
    Row("body-too-large", "the body is too large", 413, _C, "send at most 64 KiB"),
    Row("unsupported-media", "the body is not JSON", 415, _C, "send application/json"),
    Row("slow-request", "the request took too long to arrive", 408, _C, "send it in one go"),
    Row("internal", "internal error", 500, _U, "report it with the log"),
)

PROBLEMS: Mapping[str, Row] = MappingProxyType({row.code: row for row in _ROWS})


class Problem(Exception):
    """What crosses elements and edges when something cannot be done. `fields` never hold secrets.

    Raises KeyError for a code that the table does not have. Any name may be a field, `code` and
    `detail` included: the first two arguments are positional.
    """

    def __init__(self, code: str, detail: str = "", /, **fields: Any) -> None:
        self.row = PROBLEMS[code]
        self.code = code
        self.detail = detail
        self.fields: Mapping[str, Any] = MappingProxyType(fields)
        super().__init__(f"{code}: {detail or self.row.title}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the wire."""
        return {"code": self.code, "detail": self.detail, "fields": dict(self.fields)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Problem:
        """Inverse of `to_dict`.

        A code that only a newer peer knows becomes `internal`, so that its caller still gets an answer.
        """
        code, detail = values["code"], values["detail"]
        if code not in PROBLEMS:
            return cls("internal", f"the other side answered {code!r}, which is not in this table: {detail}")
        return cls(code, detail, **values["fields"])

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own way would call the class with the finished text as the code
        return Problem.from_dict, (self.to_dict(),)
