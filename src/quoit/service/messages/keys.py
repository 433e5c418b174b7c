"""Keys as ETSI GS QKD 014 hands them out."""

from __future__ import annotations

from quoit.model.secret import Secret
from quoit.runtime.wire import Message, message


@message("service.GetStatus")
class GetStatus(Message):
    """What could `caller` get for a key shared with `slave`?"""

    caller: str
    slave: str


@message("service.Status")
class Status(Message):
    source_kme: str
    target_kme: str
    master_sae: str
    slave_sae: str
    key_size_bits: int
    stored_key_count: int
    max_key_count: int
    max_key_per_request: int
    max_key_size_bits: int
    min_key_size_bits: int
    max_sae_id_count: int
    # bit/s the network can refill this pair with, by the controller's last admission estimate
    refill_bps: float


@message("service.OpenKeys")
class OpenKeys(Message):
    """Make `number` keys shared by `caller`, `slave` and `additional`; the caller gets them now.

    `key_ids` are `number` random version-4 UUIDs in lower case, drawn at the edge so that a replay of
    the recorded request names the same keys. `size_bits` None: the pair's default size.
    """

    caller: str
    slave: str
    number: int
    key_ids: tuple[str, ...]
    size_bits: int | None = None
    additional: tuple[str, ...] = ()
    valid_for_ns: int | None = None


@message("service.TakeKeys")
class TakeKeys(Message):
    """The slave's side: `caller` takes keys that `master` opened. All or nothing."""

    caller: str
    master: str
    key_ids: tuple[str, ...]
    # compat flag dec_path_self: `master` in the request is the caller itself; go by key_ID alone
    any_master: bool = False


class Key(Message):
    """`made_of`: qkd, or hybrid (an older key of the links, and post-quantum key encapsulation)."""

    key_id: str
    value: Secret
    made_of: str = "qkd"


@message("service.Keys")
class Keys(Message):
    keys: tuple[Key, ...]


@message("service.GetDeliveredBits")
class GetDeliveredBits(Message):
    """How much key was handed out? Answered with `DeliveredBits`."""


@message("service.DeliveredBits")
class DeliveredBits(Message):
    """Bits of keys that were opened and handed to those who asked for them, each key once."""

    bits: int
