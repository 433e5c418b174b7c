"""What the pages for readers name exists: commands, make targets, files linked, decisions listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quoit.cli.commands import app

ROOT = Path(__file__).parents[3]
PAGES = ("README.md", "ARCHITECTURE.md", "GLOSSARY.md", "docs/decisions/README.md")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def commands() -> set[str]:
    return {name for name in app if not name.startswith("-")}


def test_commands_that_the_readme_shows_exist() -> None:
    shown = set(re.findall(r"^(?:\| `)?quoit ([a-z]+)", text_of("README.md"), re.MULTILINE))
    assert shown, "the README shows no command"
    assert shown - commands() == set()


def test_the_readme_lists_every_command() -> None:
    listed = set(re.findall(r"^\| `quoit ([a-z]+)", text_of("README.md"), re.MULTILINE))
    assert listed == commands()


def test_make_targets_that_the_readme_shows_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z]+)", text_of("README.md"), re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", text_of(page)) if "://" not in link]
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_every_decision_is_listed() -> None:
    records = {file.name for file in (ROOT / "docs" / "decisions").glob("[0-9]*.md")}
    assert records == set(re.findall(r"\((\d{4}-[a-z0-9-]+\.md)\)", text_of("docs/decisions/README.md")))
