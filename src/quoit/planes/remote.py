"""Elements that are somewhere else, behind an interface: what the one that stands for them says to who carries calls.

The element publishes each call as news and is told the answer from outside, so calls and answers are messages like all
others, stamped and in order.
"""

from __future__ import annotations

from enum import StrEnum

from quoit.runtime.wire import Message, message

REMOTE_NEWS = "remote"
"""Subjects are `remote.<element>`."""


class Call(StrEnum):
    """What is asked of the remote element: the messages of `planes.configuration`."""

    CONFIGURATION = "configuration"
    STATE = "state"
    APPLY = "apply"


@message("planes.RemoteCall")
class RemoteCall(Message):
    """News for who carries calls: ask `element`. Answered with `RemoteAnswer` of the same number, if at all. `before`
    and `after` are the trees of a change."""

    element: str
    number: int
    call: str
    before: str = ""
    after: str = ""


@message("planes.RemoteAnswer")
class RemoteAnswer(Message):
    """What came back: the tree (empty for a change), or a problem's code and detail."""

    number: int
    tree: str
    problem: str = ""
    detail: str = ""


@message("planes.RemoteNews")
class RemoteNews(Message):
    """A notification of the remote element, module:name, with its content."""

    name: str
    content: str
