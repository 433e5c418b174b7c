"""Errors as RESTCONF says them: a tag of RFC 6241 appendix A, the HTTP status that RFC 8040 cl. 7 gives to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quoit.model.problem import Problem

STATUS: Mapping[str, tuple[int, ...]] = {
    "in-use": (409,),
    "lock-denied": (409,),
    "resource-denied": (409,),
    "data-exists": (409,),
    "data-missing": (409,),
    "invalid-value": (400, 404, 406),
    "too-big": (413, 400),
    "missing-attribute": (400,),
    "bad-attribute": (400,),
    "unknown-attribute": (400,),
    "missing-element": (400,),
    "bad-element": (400,),
    "unknown-element": (400,),
    "unknown-namespace": (400,),
    "malformed-message": (400,),
    "access-denied": (403, 401),
    "operation-not-supported": (405, 501, 415),
    "operation-failed": (412, 500),
    "rollback-failed": (500,),
    "partial-operation": (500,),
}
"""Tags and the statuses they may come with, the usual one first. 415 is HTTP's own for a body of another type, which
RFC 8040 cl. 5.2 asks for and its table leaves without a tag."""


class RestconfError(Exception):
    """A request that is refused. `path` is an instance-identifier (RFC 7951 cl. 6.11); `status` if not the usual one.

    Raises ValueError if the table does not let `tag` come with `status`.
    """

    def __init__(
        self,
        tag: str,
        message: str,
        *,
        status: int | None = None,
        path: str | None = None,
        app_tag: str | None = None,
        kind: str = "application",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.tag = tag
        self.status = status or STATUS[tag][0]
        if self.status not in STATUS[tag]:
            raise ValueError(f"error-tag {tag} comes with status {STATUS[tag]}, not {self.status}")
        self.message = message
        self.path = path
        self.app_tag = app_tag
        self.kind = kind
        self.headers = headers
        super().__init__(f"{tag}: {message}")

    def body(self) -> dict[str, Any]:
        """The `ietf-restconf:errors` object with this one error."""
        error: dict[str, Any] = {"error-type": self.kind, "error-tag": self.tag}
        if self.app_tag:
            error["error-app-tag"] = self.app_tag
        if self.path:
            error["error-path"] = self.path
        error["error-message"] = self.message
        return {"ietf-restconf:errors": {"error": [error]}}


def not_found(message: str, path: str | None = None) -> RestconfError:
    """The target is not there (RFC 8040 cl. 7: 404 with invalid-value)."""
    return RestconfError("invalid-value", message, status=404, path=path)


def bad_value(message: str, path: str | None = None, app_tag: str | None = None) -> RestconfError:
    """The request's URI, query or body has a value that does not fit."""
    return RestconfError("invalid-value", message, path=path, app_tag=app_tag)


def not_allowed(message: str, allow: str) -> RestconfError:
    """405 with the Allow header."""
    return RestconfError("operation-not-supported", message, kind="protocol", headers=(("allow", allow),))


_BY_STATUS: Mapping[int, tuple[str, int]] = {
    400: ("invalid-value", 400),
    401: ("access-denied", 401),
    403: ("access-denied", 403),
    404: ("invalid-value", 404),
    405: ("operation-not-supported", 405),
    409: ("resource-denied", 409),
    412: ("operation-failed", 412),
    413: ("too-big", 413),
    415: ("operation-not-supported", 415),
    501: ("operation-not-supported", 501),
}


def of_problem(problem: Problem) -> RestconfError:
    """What an element said, as an error: its code is the error-app-tag. What fits no row is operation-failed, 500."""
    tag, status = _BY_STATUS.get(problem.row.status, ("operation-failed", 500))
    message = f"{problem.row.title}: {problem.detail}" if problem.detail else problem.row.title
    return RestconfError(tag, message, status=status, app_tag=problem.code)
