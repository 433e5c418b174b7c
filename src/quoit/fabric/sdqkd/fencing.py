"""Whose turn it is to configure a node: an edit of a controller that was replaced is refused (invariant C1).

A controller's pair (epoch, edit) comes with each of its edits, and must be above the one that stands. Epochs are given
to leaders one after the other; within its epoch a leader numbers its edits.
"""

from __future__ import annotations

from msgspec.structs import replace

from quoit.fabric.sdqkd.tree import Node, Turn
from quoit.model.problem import Problem

MOST = 2**64 - 1


def check_turn(before: Node, after: Node) -> None:
    """Problem `stale-epoch` if this edit is of a controller that has been replaced, or of one that takes no turns on
    a node that another has taken."""
    held, new = before.control, after.control
    if held is None:
        return
    if new is None:
        if replace(before, control=None) == after:
            return
        raise Problem("stale-epoch", "the node is let go by an edit of its own", epoch=int(held.epoch))
    if new.key > held.key:
        return
    if new == held:
        detail = f"a controller of epoch {held.epoch} has taken this node; an edit needs an epoch and number above its"
    else:
        detail = f"edit {new.edit} of epoch {new.epoch} comes after edit {held.edit} of epoch {held.epoch}"
    raise Problem("stale-epoch", detail, epoch=int(held.epoch))


def next_turn(held: Turn | None, epoch: int) -> Turn:
    """The pair for the next edit by the controller of `epoch`. Problem `stale-epoch` if a later one has the node."""
    last_epoch, last_edit = held.key if held is not None else (0, 0)
    if epoch < last_epoch:
        raise Problem("stale-epoch", f"a controller of epoch {last_epoch} has taken this node", epoch=last_epoch)
    return Turn(str(epoch), str(last_edit + 1 if epoch == last_epoch else 1))
