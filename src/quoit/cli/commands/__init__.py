"""What `quoit` can be told to do, a module a subject. Commands are thin: what they do lives in the rooms below, and
is imported when one is run, so that `quoit --help` need not wait for it."""

from __future__ import annotations

from quoit.cli.commands import clients, files, live, running, simulators, standards, stores, studies, tunnels
from quoit.cli.commands.root import app

__all__ = ["app", "clients", "files", "live", "running", "simulators", "standards", "stores", "studies", "tunnels"]
