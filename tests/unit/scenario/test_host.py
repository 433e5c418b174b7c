"""What a host does about faults that nobody waits for."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from quoit.scenario.doors import PortRefused
from quoit.scenario.host import Host
from quoit.scenario.host_options import HostOptions
from quoit.scenario.operator import SocketRefused

TWO = (Path(__file__).parents[3] / "examples" / "two-nodes.yaml").read_text()


def starve() -> None:
    raise MemoryError


def stumble() -> None:
    raise ZeroDivisionError


async def after(directory: Path, strike: Any) -> str:
    """How a twin of a second is after `strike(loop)`: the name of what ended it, or nothing."""
    host = Host(TWO, HostOptions(directory, until_ns=10**9, serve=False))
    await host.start()
    try:
        strike(asyncio.get_running_loop())
        await host.world.ended()
    except MemoryError as fault:
        return type(fault).__name__
    finally:
        await host.stop()
    return ""


@pytest.mark.live
@pytest.mark.realises("G3")
def test_a_callback_that_runs_out_of_memory_ends_the_twin(tmp_path: Path) -> None:
    assert asyncio.run(after(tmp_path, lambda loop: loop.call_soon(starve))) == "MemoryError"


@pytest.mark.live
def test_a_connection_that_runs_out_of_memory_is_cut_and_that_is_all(tmp_path: Path) -> None:
    context = {"message": "Fatal error on SSL protocol", "exception": MemoryError(), "protocol": object()}
    assert asyncio.run(after(tmp_path, lambda loop: loop.call_exception_handler(context))) == ""


@pytest.mark.live
def test_another_fault_of_a_callback_is_one_line_that_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def often(loop: asyncio.AbstractEventLoop) -> None:
        for _ in range(50):
            loop.call_soon(stumble)

    said: list[dict[str, Any]] = []
    log = SimpleNamespace(warning=lambda event, **fields: said.append({"event": event, **fields}))
    monkeypatch.setattr("quoit.scenario.host._log", log)  # whatever the process has configured before
    assert asyncio.run(after(tmp_path, often)) == ""
    about = [line for line in said if line["event"] == "loop.fault"]
    assert sum(line["times"] for line in about) == 50
    assert len(about) <= 3
    assert all("ZeroDivisionError at " in line["reason"] and "test_host.py:" in line["reason"] for line in about)


@pytest.mark.live
def test_a_directory_whose_name_is_too_long_for_a_socket_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(SocketRefused, match=r"operator\.sock \(\d+ bytes\) cannot be opened: .*shorter --dir"):
        asyncio.run(asyncio.wait_for(begun(HostOptions(tmp_path / ("long" * 25), port=0)), 60))


@pytest.mark.live
def test_a_port_that_is_taken_is_named_with_its_option(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortRefused, match=f"--management-port {port}: cannot be opened: .*free port, or 0"):
            asyncio.run(begun(HostOptions(tmp_path, port=0, management_port=port)))


async def begun(options: HostOptions) -> None:
    """A twin that was started, and is ended."""
    host = Host(TWO, options)
    try:
        await host.start()
    finally:
        await host.stop()
