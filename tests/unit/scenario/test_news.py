"""Readers of news: patterns, bounds, and nobody waits for a slow one."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from quoit.model.problem import Problem
from quoit.planes.management import Alarm
from quoit.runtime.kernel import Kernel
from quoit.scenario.news import MOST_LAG, MOST_PATTERNS, MOST_READERS, USUAL, NewsDesk, OwnNews, patterns_of

ALARM = Alarm("fabric", "link", "dark", "major", "no light", 7)


def publish(kernel: Kernel, subject: str) -> None:
    for watcher in list(kernel.watchers):
        watcher(subject, ALARM)


def read(feed: Any) -> list[bytes]:
    async def drained() -> list[bytes]:
        feed.close()
        return [chunk async for chunk in feed.chunks()]

    return asyncio.run(drained())


def test_a_reader_gets_what_it_asked_for() -> None:
    kernel = Kernel([])
    desk = NewsDesk(OwnNews(kernel))
    feed, other = desk.open(["alarm.fabric.*"]), desk.open([])
    publish(kernel, "alarm.fabric.link")
    publish(kernel, "alarm.service.link")
    publish(kernel, "service.unit.kme-a")
    (_, event) = read(feed)
    first, second, third = event.decode().strip().split("\n")
    assert (first, second) == ("id: 1", "event: planes.Alarm")
    told = json.loads(third.removeprefix("data: "))
    assert told["subject"] == "alarm.fabric.link"
    assert (told["news"]["cause"], told["news"]["since_ns"]) == ("dark", 7)
    assert len(read(other)) == 3


def test_news_of_units_are_never_told() -> None:
    kernel = Kernel([])
    feed = NewsDesk(OwnNews(kernel)).open(["service.>"])
    publish(kernel, "service.unit.kme-a")
    publish(kernel, "service.stream.kme-a")
    assert len(read(feed)) == 2


def test_a_reader_that_lags_is_cut_and_told_so() -> None:
    kernel = Kernel([])
    feed = NewsDesk(OwnNews(kernel)).open([])
    for _ in range(MOST_LAG + 5):
        publish(kernel, "alarm.fabric.link")
    assert feed.lagged
    (_, last) = read(feed)
    assert b"too slowly" in last


def test_there_are_so_many_places_and_one_that_goes_leaves_its_own() -> None:
    kernel = Kernel([])
    desk = NewsDesk(OwnNews(kernel))
    feeds = [desk.open([]) for _ in range(MOST_READERS)]
    with pytest.raises(Problem) as refused:
        desk.open([])
    assert refused.value.code == "overloaded"
    feeds[0].drop()
    desk.open([])
    desk.close()
    for feed in feeds:
        feed.drop()
    assert len(kernel.watchers) == 1


@pytest.mark.parametrize("bad", ["", "alarm..x", "a b", "alarm.>.x", "engine.>", "x" * 200, "alarm\n.x"])
def test_what_is_no_subject_is_refused(bad: str) -> None:
    with pytest.raises(Problem) as refused:
        patterns_of([bad])
    assert refused.value.code == "malformed"


def test_patterns_are_counted_and_have_a_default() -> None:
    assert patterns_of([]) == USUAL
    with pytest.raises(Problem):
        patterns_of(["alarm.>"] * (MOST_PATTERNS + 1))
