"""Every process of a crew is started with what the user gave."""

from __future__ import annotations

from pathlib import Path

from quoit.cli.commands import app
from quoit.cli.up import UpOptions, _arguments


def test_what_is_given_to_a_crew_is_given_to_its_parts() -> None:
    given = UpOptions(Path("out"), "10s", "20s", 2.0, 7, 0, True, 2, True, kek="pkcs11:token=t;object=o", teraflow=True)
    arguments = ["up", "network.yaml", *_arguments(given)]
    _, bound, _ = app.parse_args(arguments)
    names = ("start", "until", "speed", "seed", "port", "digest", "kek", "teraflow")
    found = {name: bound.arguments[name] for name in names}
    assert found == {name: getattr(given, name) for name in found}
    assert bound.arguments["json"] is True
