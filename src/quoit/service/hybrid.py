"""Keys of two kinds of secrets: key from quantum links, ratcheted with post-quantum key encapsulation (C7, K14).

A session that may degrade to hybrid keys is seeded when it opens: one key of 256 bits from the links, which nobody
else ever gets. When the links give no more, the two KMEs make key out of it by CasKDF (ETSI TS 103 744): each round
takes the chain of the rounds before, which begins with the seed, and the shared secret of a fresh ML-KEM-768 (FIPS
203) encapsulation. Whoever lacks either learns nothing: the key is safe if lattices hold, or if the link's key was
secret *and* none of the rounds' chains leaked since. It is no longer information-theoretically secure; so it is
labelled, wherever it is shown, and never made without the session's owner having asked for it.

Encapsulation draws from the system's randomness, also in virtual time: the same seed gives other hybrid keys each time,
and the same events.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.runtime.wire import Message, message
from quoit.service.combiners import Round, cas_kdf
from quoit.service.keystore import Point

SUITE = b"CasKDF-HKDF-SHA-256 ML-KEM-768"
SEED_BITS = 256
CHAIN_BYTES = 32
CHUNK_BITS = 32_768
"""HKDF gives 255 hashes at most: a round's chain and this much key are well within."""
MARK = "~hybrid"
QKD, HYBRID = "qkd", "hybrid"


@message("service.SeedHybrid")
class SeedHybrid(Message):
    """The master's KME: this key of our common stream is the session's seed. Mirror it, and take it."""

    session_id: str
    stream: str
    key_id: str
    offset: int
    expires_ns: int
    point: Point


@message("service.OfferKem")
class OfferKem(Message):
    """The master's KME: encapsulate to this key, and append the round's key to the stream. Answered by `Encapsulated`
    once it is durable. A round may be offered again, with another key, if its answer was lost."""

    session_id: str
    stream: str
    start: int
    bits: int
    number: int
    public_key: bytes


@message("service.Encapsulated")
class Encapsulated(Message):
    ciphertext: bytes


def class_of(stream: str) -> str:
    """What keys of a stream are made of."""
    return HYBRID if MARK in stream else QKD


@dataclass
class Ratchet:
    """One end's chain. `number`: the round that `chain` is for; what the round before began with is kept until the
    next one begins, since its answer may have been lost."""

    chain: Secret
    number: int = 0
    before: Secret | None = None

    def turn(self, number: int, shared: Secret, offer: OfferKem, ciphertext: bytes) -> Secret:
        """The key of round `number`. Problem `malformed` for a round that is neither the next nor the last one."""
        if number == self.number - 1 and self.before is not None:
            chain = self.before
        elif number == self.number:
            chain = self.chain
        else:
            raise Problem("malformed", f"expected round {self.number} of the hybrid session, found {number}")
        context = b"|".join(
            (SUITE, offer.session_id.encode(), offer.stream.encode(), b"%d %d %d" % (offer.start, offer.bits, number))
        )
        length = CHAIN_BYTES + offer.bits // 8
        turn = Round(shared, offer.public_key, ciphertext, context, b"quoit hybrid round")
        (drawn,) = cas_kdf(chain, [turn], CHAIN_BYTES, length)
        material = drawn.reveal()
        if chain is self.chain and self.before is not None:
            self.before.wipe()
        self.before, self.chain, self.number = chain, Secret(material[:CHAIN_BYTES]), number + 1
        return Secret(material[CHAIN_BYTES:])


class Opener:
    """The master's half of a round: a key pair that lives as long as the round."""

    def __init__(self, seed: Secret) -> None:
        """`seed`: 64 bytes, used for nothing else."""
        self._private = MLKEM768PrivateKey.from_seed_bytes(seed.reveal())

    @property
    def public_key(self) -> bytes:
        return self._private.public_key().public_bytes_raw()

    def open(self, ciphertext: bytes) -> Secret:
        """The shared secret. A ciphertext that was altered gives another one (FIPS 203: implicit rejection), so the
        two ends' keys differ and nothing leaks. Problem `malformed` for one of the wrong length."""
        try:
            return Secret(self._private.decapsulate(ciphertext))
        except ValueError:
            raise Problem("malformed", f"expected an ML-KEM-768 ciphertext, found {len(ciphertext)} bytes") from None


def close_to(public_key: bytes) -> tuple[Secret, bytes]:
    """(shared secret, ciphertext) for whoever has the private key. Problem `malformed` if it is no key."""
    try:
        shared, ciphertext = MLKEM768PublicKey.from_public_bytes(public_key).encapsulate()
    except ValueError:
        raise Problem("malformed", f"expected an ML-KEM-768 public key, found {len(public_key)} bytes") from None
    return Secret(shared), ciphertext
