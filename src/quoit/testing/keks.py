"""The conformance suite of the port `Kek`: whoever writes a key-encryption key proves it by these tests.

    class TestMine(KekContract):
        def make(self, directory: Path) -> Kek:
            return MyKek(directory)

`make` opens the key that belongs to `directory`, the same one each time. Needs pytest and hypothesis.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quoit.adapters.crypto.kek import EitherKek, Kek


class KekContract:
    """What every key-encryption key does. Subclass it and write `make`."""

    def make(self, directory: Path) -> Kek:
        raise NotImplementedError

    @contextlib.contextmanager
    def _opened(self, directory: Path) -> Iterator[Kek]:
        directory.mkdir(exist_ok=True)
        with contextlib.closing(self.make(directory)) as kek:
            yield kek

    @pytest.fixture
    def kek(self, tmp_path: Path) -> Iterator[Kek]:
        """The key of `tmp_path / "a"`."""
        with self._opened(tmp_path / "a") as kek:
            yield kek

    @pytest.fixture
    def another(self, tmp_path: Path) -> Iterator[Kek]:
        """Another key of the same kind."""
        with self._opened(tmp_path / "b") as kek:
            yield kek

    def test_what_it_wrapped_it_unwraps(self, kek: Kek) -> None:
        for data_key in (bytes(32), b"\xff" * 32, bytes(range(32)), os.urandom(32)):
            wrapped = kek.wrap(data_key)
            assert data_key not in wrapped
            assert kek.unwrap(wrapped) == data_key

    def test_opened_again_it_is_the_same_key(self, kek: Kek, tmp_path: Path) -> None:
        data_key = os.urandom(32)
        wrapped = kek.wrap(data_key)
        with self._opened(tmp_path / "a") as again:
            assert again.unwrap(wrapped) == data_key
            assert kek.unwrap(again.wrap(data_key)) == data_key
        assert kek.unwrap(wrapped) == data_key  # closing one of them does not close the other

    def test_what_another_key_wrapped_does_not_open(self, kek: Kek, another: Kek) -> None:
        with pytest.raises(InvalidUnwrap):
            kek.unwrap(another.wrap(bytes(32)))

    def test_nothing_altered_opens(self, kek: Kek) -> None:
        wrapped = kek.wrap(os.urandom(32))
        for at in range(len(wrapped)):
            with pytest.raises(InvalidUnwrap):
                kek.unwrap(wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :])
        for other in (wrapped[:-1], wrapped[:-8], wrapped[1:], wrapped + b"\0", wrapped + bytes(8), wrapped * 2):
            with pytest.raises(InvalidUnwrap):
                kek.unwrap(other)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(found=st.binary(max_size=120))
    def test_no_bytes_bring_it_to_anything_but_a_refusal(self, kek: Kek, found: bytes) -> None:
        with pytest.raises(InvalidUnwrap):
            kek.unwrap(found)

    def test_what_is_no_data_key_is_not_wrapped(self, kek: Kek) -> None:
        for size in (0, 16, 31, 33, 64):
            with pytest.raises(ValueError, match="32 bytes") as refused:
                kek.wrap(b"\xab" * size)
            assert "xab" not in str(refused.value)

    def test_threads_may_use_it_at_once(self, kek: Kek) -> None:
        def there_and_back(data_key: bytes) -> bool:
            return kek.unwrap(kek.wrap(data_key)) == data_key

        with ThreadPoolExecutor(4) as threads:
            assert all(threads.map(there_and_back, [os.urandom(32) for _ in range(60)]))

    def test_a_store_on_its_way_is_opened_by_either_key(self, kek: Kek, another: Kek) -> None:
        both = EitherKek(kek, another)
        assert [both.unwrap(one.wrap(bytes(32))) for one in (kek, another)] == [bytes(32)] * 2
        assert another.unwrap(both.wrap(bytes(32))) == bytes(32)
        with pytest.raises(InvalidUnwrap):
            both.unwrap(bytes(40))
