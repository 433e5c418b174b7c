"""How elements are configured from outside: the messages of a control interface to the element that it configures.

Trees are RFC 7951 JSON text: what they hold is a matter of the interface and the element, and of nobody in between.
Configuration comes as a change that is valid already; the element brings it about or raises `Problem`, and then nothing
of it may be left behind.
"""

from __future__ import annotations

from quoit.runtime.wire import Message, message

CONFIGURATION_NEWS = "configuration"
"""Subjects are `configuration.<element>`."""


@message("planes.ReadState")
class ReadState(Message):
    """What is your state below these top-level nodes (module:name)? Answered with `StateRead`."""

    roots: tuple[str, ...]


@message("planes.StateRead")
class StateRead(Message):
    """State as a data tree, with the keys of the lists it is in."""

    tree: str


@message("planes.ReadConfiguration")
class ReadConfiguration(Message):
    """What is your configuration now? Answered with `ConfigurationRead`."""


@message("planes.ConfigurationRead")
class ConfigurationRead(Message):
    """The configuration as a data tree, without state."""

    tree: str


@message("planes.ApplyConfiguration")
class ApplyConfiguration(Message):
    """Make `after` hold where `before` does: configurations below the element's top-level nodes.

    Answered with `ConfigurationApplied`, or a `Problem` that is told to `caller`. The change back may follow, if
    another element refuses its part.
    """

    caller: str
    before: str
    after: str


@message("planes.ConfigurationApplied")
class ConfigurationApplied(Message):
    """The change holds."""


@message("planes.Invoke")
class Invoke(Message):
    """Do the operation module:name; `given` is its valid input. Answered with `Invoked`."""

    caller: str
    operation: str
    given: str


@message("planes.Invoked")
class Invoked(Message):
    """It is done; `result` is the output, an empty object if there is none."""

    result: str


@message("planes.StateChanged")
class StateChanged(Message):
    """News: the state of `element` is another than when it was last read."""

    element: str


@message("planes.ConfigurationChanged")
class ConfigurationChanged(Message):
    """News: the configuration of `element` is another, whoever changed it. Ask for it with `ReadConfiguration`."""

    element: str
    caller: str


@message("planes.Notification")
class Notification(Message):
    """News for clients of the element's interface: the notification `name` (module:name) with `content`, at `at_ns`.

    `stream` names the event stream that has it, besides the default one.
    """

    element: str
    name: str
    content: str
    at_ns: int
    stream: str | None = None
