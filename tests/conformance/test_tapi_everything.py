"""What the optical network returns in a story, and all that it tells meanwhile, read by libyang as well.

The modules are ONF's of release 2.4.0, mended as they are when they are loaded.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_tapi import CONTEXT, YANG, needs_modules
from test_tapi_network import Lab, in_lab

from quoit.interfaces.restconf.library import ModuleSet
from quoit.interfaces.tapi import codec
from quoit.interfaces.tapi.provider import COMPUTE, STREAM


@needs_modules
@pytest.mark.skipif(shutil.which("yanglint") is None, reason="yanglint is not installed (Debian: libyang2-tools)")
def test_libyang_takes_all_that_the_optical_network_returns(tmp_path: Path) -> None:
    kept: dict[str, list[str]] = {"data": [], "notif": []}

    def keep(kind: str, value: Any) -> None:
        file = tmp_path / f"{kind}{len(kept[kind])}.json"
        file.write_text(json.dumps(value))
        kept[kind].append(str(file))

    async def work(lab: Lab) -> None:
        async def look() -> None:
            keep("data", (await lab.http("GET", CONTEXT)).json())

        await look()
        schedule = {"schedule": {"end-time": "2026-01-01T00:00:20Z"}}
        wishes = (lab.service("one", **{"connectivity-constraint": schedule}), lab.service("two"))
        assert (await lab.post(*wishes)).status == 204
        await look()  # planned
        await lab.run(1)
        await look()  # installed
        lab.cut("ac")
        await lab.run(3)
        await look()  # moved
        lab.cut("ab")
        await lab.run(5)
        await look()  # nothing left to move to
        body = {codec.NOTIFICATIONS: {"notif-subscription": [{"uuid": lab.uuid("test", "subscription")}]}}
        assert (await lab.http("PATCH", CONTEXT, {codec.CONTEXT: body})).status == 204
        await look()
        points = {"tapi-path-computation:input": {"end-point": lab.service("way")["end-point"]}}
        assert (await lab.http("POST", f"/restconf/operations/{COMPUTE}", points)).status >= 400  # no light, no way
        await lab.run(30)  # the schedule of one is over
        where = f"{CONTEXT}/{codec.CONNECTIVITY}/connectivity-service={lab.uuid('test', 'two')}"
        assert (await lab.http("DELETE", where)).status == 204
        await look()
        for event in lab.core.streams[STREAM].log:
            keep("notif", {event.name: event.content})

    in_lab(work, served=True)
    for module in ModuleSet.of(codec.MODULES, [Path(YANG)]).modules:
        (tmp_path / f"{module.name}.yang").write_text(module.text)
    modules = [str(tmp_path / f"{name}.yang") for name in codec.MODULES]
    assert len(kept["notif"]) >= 6  # both made, down, gone
    for kind, files in kept.items():
        command = ["yanglint", "-p", str(tmp_path), "-t", kind, *modules, *files]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
