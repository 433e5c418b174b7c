"""The search as a plugin of pytest: `-p quoit.testing.leaks.plugin`, or `pytest_plugins` in the topmost conftest.py.

A test whose output, log, warning or failure holds bytes of a secret fails, and its report has them struck out. What is
found in files at the end fails the run, with the name of the test whose directory it was. Works under pytest-xdist:
each worker searches what it ran.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from quoit.testing.leaks.search import encoded
from quoit.testing.leaks.watch import Leak, Watch

NAME = "quoit-leaks"
OUTPUT = "quoit_leaks"
MARK = "shows_secrets(reason): what this test prints and leaves holds secrets by design, and is not searched"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-leak-search", action="store_true", help="do not look for secrets in what tests leave behind")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK)
    if not config.getoption("--no-leak-search"):
        controls = not hasattr(config, "workerinput") and bool(getattr(config.option, "numprocesses", None))
        config.pluginmanager.register(Gathering() if controls else Searching(config), NAME)


@pytest.fixture(scope="session", autouse=True)
def _own_temporary_directory(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """What tests and their processes leave in "the" temporary directory is searched, too."""
    searching = request.config.pluginmanager.get_plugin(NAME)
    if not isinstance(searching, Searching):
        yield
        return
    searching.basetemp = tmp_path_factory.getbasetemp()
    searching.temporary = Path(tempfile.mkdtemp(prefix="q-"))  # short: names of sockets have 108 bytes at most
    before, cached = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = str(searching.temporary)
    yield
    tempfile.tempdir = cached
    if before is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = before


@pytest.fixture
def leaks(request: pytest.FixtureRequest) -> Iterator[Watch]:
    """The running search, for tests that hold a text in their hands: `assert not leaks.look(text)[1]`. Where it is
    switched off, one of this test's own."""
    searching = request.config.pluginmanager.get_plugin(NAME)
    if not isinstance(searching, Searching):
        own = Watch()
        own.start()
        yield own
        own.stop()
    else:
        yield searching.watch


class Summary:
    """What both kinds of process tell at the end."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.facts: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.found:
            terminalreporter.section("secrets where none may be", red=True)
            for line in self.found:
                terminalreporter.write_line(line, red=True)
        if terminalreporter.config.get_verbosity() >= 0:
            for line in self.facts:
                terminalreporter.write_line(line)


class Gathering(Summary):
    """In the process that hands tests to workers: what these found fails the run."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        told = getattr(node, "workeroutput", {}).get(OUTPUT, {})
        self.found += told.get("found", [])
        self.facts += told.get("facts", [])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


class _Ear(logging.Handler):
    """Hears what a record has besides its text."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        self._watch.hear("log records", encoded(repr(record.__dict__)))


class Searching(Summary):
    """In a process that runs tests."""

    def __init__(self, config: pytest.Config) -> None:
        super().__init__()
        self.config = config
        self.watch = Watch()
        self.watch.start()
        self.ear = _Ear(self.watch)
        self.owners: dict[str, str] = {}
        self.late: list[Leak] = []
        self.basetemp: Path | None = None
        self.temporary: Path | None = None
        logging.getLogger().addHandler(self.ear)

    # -- while tests run -----------------------------------------------------------------------------

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.watch.running(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: Any, nodeid: str) -> None:
        """Comes when the test's reports are written: what is found is told at the end."""
        forms = self.watch.look(str(warning_message.message))[1]
        if forms:
            self.late.append(Leak(nodeid, "a warning", forms))
            warning_message.message = type(warning_message.message)("withheld: it holds bytes of a secret")

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        made: Any = yield
        if isinstance(made, pytest.CaptureFixture):
            read = made.readouterr

            def readouterr() -> Any:
                """As it is, and heard: what a test takes out is in no report."""
                found = read()
                for text in found:
                    self.watch.hear("captured output", text if isinstance(text, bytes) else encoded(text))
                return found

            setattr(made, "readouterr", readouterr)  # noqa: B010
        return made

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        silent = item.get_closest_marker("shows_secrets")
        self._own("" if silent else item.nodeid)
        found = [] if silent else self._search_report(report)
        heard = self.watch.settle()
        if silent:
            heard = []
        if found or heard:
            report.outcome = "failed"
            report.longrepr = "\n".join([str(leak) for leak in (*found, *heard)] + [str(report.longrepr or "")])
        return report

    def _search_report(self, report: pytest.TestReport) -> list[Leak]:
        """What this phase said, with all finds struck out."""
        found: list[Leak] = []
        for place, (title, text) in enumerate(report.sections):
            if title.endswith(f" {report.when}"):
                clean, forms = self.watch.look(text)
                if forms:
                    report.sections[place] = (title, clean)
                    found.append(Leak(report.nodeid, title.lower(), forms))
        if report.longrepr:
            clean, forms = self.watch.look(report.longreprtext)
            if forms:
                report.longrepr = clean
                found.append(Leak(report.nodeid, "the failure's text", forms))
        return found

    def _own(self, nodeid: str) -> None:
        """Directories that have come since the last test are this one's; no name: they are not searched."""
        if self.basetemp is not None:
            for name in os.listdir(self.basetemp):
                self.owners.setdefault(name, nodeid)

    # -- at the end ----------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        base = self.basetemp
        self.watch.running("after the last test")
        found = self.late + self.watch.settle()
        if base is not None:
            found += self.watch.search_files(base, lambda path: self.owners.get(path.relative_to(base).parts[0], "?"))
        if self.temporary is not None:
            found += self.watch.search_files(self.temporary, lambda path: "a temporary file of some test")
            shutil.rmtree(self.temporary, ignore_errors=True)
        self.found = [str(leak) for leak in found]
        self._tell()
        if self.found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _tell(self) -> None:
        watch = self.watch
        self.facts = [
            f"{watch.collector.taken} secrets here, {len(watch.search.index)} prints, {watch.search.index.forgotten} "
            f"forgotten; {watch.looked_at_bytes >> 10} KiB searched in {watch.spent_s:.1f} s"
        ]
        output = getattr(self.config, "workeroutput", None)
        if output is not None:
            output[OUTPUT] = {"found": self.found, "facts": self.facts}

    def pytest_unconfigure(self) -> None:
        logging.getLogger().removeHandler(self.ear)
        self.watch.stop()
