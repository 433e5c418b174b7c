"""Scripts that run an application themselves, by the SDK's `simulate_application`."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from netqasm.runtime.application import ApplicationInstance

from quoit.interfaces.netqasm.external import module_for, supplied
from quoit.interfaces.netqasm.host import Site
from quoit.scenario.netqasm.hardware import Hardware, by_network_config
from quoit.scenario.netqasm.run import Cast, Report, RunOptions, play, seeded


class ProgramFailed(RuntimeError):
    """A program of an application that a script ran; the text has its traceback."""


def run_script(path: Path, options: RunOptions) -> list[Report]:
    """Run a Python file as `__main__`; a report for each application that it runs. What the script raises is raised.

    Rounds are those that the script asks for.
    """
    stage = _Stage(options)
    with supplied(module_for(stage.site, stage.simulate)), seeded(options.seed):
        runpy.run_path(str(path), run_name="__main__")
    return stage.reports


class _Stage:
    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self.site = Site(within_s=options.within_s)
        self.reports: list[Report] = []

    def simulate(
        self,
        app_instance: ApplicationInstance,
        num_rounds: int = 1,
        network_cfg: Any = None,
        nv_cfg: Any = None,
        log_cfg: Any = None,
        formalism: Any = None,
        use_app_config: bool = True,
        post_function: Any = None,
        enable_logging: bool = True,
        hardware: str = "generic",
    ) -> list[Mapping[str, Any]]:
        """What the SDK's simulators offer under this name: for each round the results, by `app_ROLE`.

        `formalism` and logging have no meaning here. NotImplementedError for NV hardware, and for a `post_function`,
        which wants the simulator's own objects. `ProgramFailed` if a program fails.
        """
        if nv_cfg is not None or hardware != "generic":
            raise NotImplementedError(f"quoit runs the vanilla flavour: expected hardware generic, found {hardware!r}")
        if post_function is not None:
            raise NotImplementedError("a post_function is given a simulator's own objects, which quoit does not have")
        found = app_instance.network if network_cfg is None else network_cfg
        given = Hardware() if found is None else by_network_config(asdict(found))
        mains = {program.party: program.entry for program in app_instance.app.programs}
        cast = Cast(
            mains,
            app_instance.program_inputs,
            app_instance.party_alloc,
            self._options.hardware or given,
            use_app_config,
        )
        report = play(cast, replace(self._options, rounds=num_rounds), self.site)
        self.reports.append(report)
        if report.failures:
            first = report.failures[0]
            raise ProgramFailed(f"{first.role}: {first.trace}")
        return [{f"app_{role}": result for role, result in row.items()} for row in report.results]
