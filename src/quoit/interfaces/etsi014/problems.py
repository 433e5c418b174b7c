"""Problems as ETSI GS QKD 014 V1.1.1 answers them: table 13's Error object, and the statuses of cl. 5.2 to 5.4.

The standard knows 200, 400, 401 (without a body) and 503. Real clients read JSON from every refusal, so a body
is always sent; 404, 405, 408, 413, 415 and 500 are used only for what is wrong with the request as HTTP.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from quoit.interfaces.http_edge import Answer
from quoit.model.problem import Problem

# Wrong as HTTP, before 014 has a say: the row's own status stands.
_TRANSPORT = frozenset(
    {"no-such-path", "method-not-allowed", "slow-request", "body-too-large", "unsupported-media", "internal"}
)
# The title is the standard's own sentence, or the detail could tell of other parties: nothing is added.
_TITLE_ONLY = frozenset(
    {
        "size-not-multiple-of-8",
        "mandatory-extension-unsupported",
        "mandatory-extension-unmet",
        "optional-extension-refused",
        "key-not-found",
        "not-authorised",
        "internal",
        "store-failed",
    }
)


def status_of(problem: Problem, *, unknown_key_404: bool = False) -> int:
    """The HTTP status that 014 has for a problem. Compat flag `unknown_key_404`: as some clients expect."""
    if problem.code == "key-not-found" and unknown_key_404:
        return 404
    status = problem.row.status
    if problem.code in _TRANSPORT or status in (400, 401, 503):
        return status
    return 503


def message_of(problem: Problem) -> str:
    """The Error object's `message`: the table's title, with the detail where that may be told."""
    if not problem.detail or problem.code in _TITLE_ONLY:
        return problem.row.title
    return f"{problem.row.title}: {problem.detail}"


def details_of(problem: Problem) -> list[dict[str, Any]] | None:
    """The Error object's `details`: only for extensions, as in cl. 6.2's example; some clients read no other."""
    if problem.code != "mandatory-extension-unsupported":
        return None
    names = problem.fields.get("unsupported", ())
    return [{"extension_mandatory_unsupported": f"{name} is not supported"} for name in names]


def render(problem: Problem, *, unknown_key_404: bool = False) -> Answer:
    """The refusal as status, Error object and headers."""
    error: dict[str, Any] = {"message": message_of(problem)}
    details = details_of(problem)
    if details:
        error["details"] = details
    status = status_of(problem, unknown_key_404=unknown_key_404)
    headers = [("content-type", "application/json")]
    if "allow" in problem.fields:
        headers.append(("allow", str(problem.fields["allow"])))
    retry_s = problem.fields.get("retry_after_s")
    if status == 503 and isinstance(retry_s, int | float):
        headers.append(("retry-after", str(max(1, math.ceil(retry_s)))))
    return Answer(status, msgspec.json.encode(error), tuple(headers))
