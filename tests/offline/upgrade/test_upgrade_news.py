"""News of the upgrades: one sentence for the operator each, and the status line of the process."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from offline import __main__ as process
from offline.server import RealtimeServer
from offline.upgrade import upgrade_plan
from offline.upgrade.upgrade_news import (
    REASONS,
    UpgradeKind,
    UpgradeNews,
    UpgradeOutcome,
    UpgradeStage,
    join_sentences,
)
from tests.support.offline.scripted_models import ModelScript, ScriptedModelRuntime

LLM, STT = UpgradeKind.LLM, UpgradeKind.STT
FETCHING = UpgradeNews(UpgradeStage.FETCHING, LLM, percent=40, megabytes=986)
TOO_SLOW = UpgradeNews(UpgradeStage.NOT_USED, STT, reason=UpgradeOutcome.TOO_SLOW, is_smaller_installed=False)
SENTENCES = [
    (FETCHING, "Fetching a better language model: 40 % of 986 MB."),
    (UpgradeNews(UpgradeStage.LOADING, STT), "Loading a better speech recognition model."),
    (
        UpgradeNews(UpgradeStage.AFTER_CALL, LLM),
        "A better language model is loaded and waits until no call is open.",
    ),
    (
        TOO_SLOW,
        "A better speech recognition model is not used, because it is too slow for this computer: "
        "the present one stays.",
    ),
    (
        UpgradeNews(UpgradeStage.NOT_USED, LLM, reason=UpgradeOutcome.NO_DISK, is_smaller_installed=True),
        "A better language model is not used, because it needs more room on the disk: a smaller one answers.",
    ),
    (
        UpgradeNews(UpgradeStage.FEW_PROCESSORS, LLM, processors=2, needed_processors=4),
        "The small language model answers, because a better one needs 4 processors and this computer has 2.",
    ),
    (
        UpgradeNews(UpgradeStage.CHOSEN_MISSING, model="qwen"),
        "The chosen model qwen is missing: run `python -m offline.models fetch`.",
    ),
]


def make_server() -> tuple[RealtimeServer, ScriptedModelRuntime]:
    """Return a server and its loaded models, whose language model is "small"."""
    server, workers = RealtimeServer(), ScriptedModelRuntime(ModelScript())
    workers.model = "small"
    server.mark_ready(workers, workers.languages)
    return server, workers


@pytest.mark.parametrize(("news", "sentence"), SENTENCES)
def test_news_has_one_sentence(news: UpgradeNews, sentence: str) -> None:
    assert news.sentence == sentence


def test_every_stage_has_a_sentence() -> None:
    assert {news.stage for news, _ in SENTENCES} == set(UpgradeStage)


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.value)
def test_every_reason_is_in_its_sentence(reason: UpgradeOutcome) -> None:
    news = UpgradeNews(UpgradeStage.NOT_USED, LLM, reason=reason, is_smaller_installed=False)
    assert f"because {REASONS[reason]}:" in news.sentence


def test_json_of_news_holds_the_fields_that_are_set() -> None:
    assert FETCHING.to_json() == {"stage": "fetching", "kind": "llm", "percent": 40, "megabytes": 986}
    assert TOO_SLOW.to_json() == {
        "stage": "not_used",
        "kind": "stt",
        "reason": "too_slow",
        "is_smaller_installed": False,
    }


def test_sentences_are_joined() -> None:
    assert join_sentences(()) == ""
    assert join_sentences((FETCHING, TOO_SLOW)) == f"{FETCHING.sentence} {TOO_SLOW.sentence}"


async def test_status_lines_and_health_hold_the_news_and_repeat_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server, workers = make_server()

    async def upgrade_models(pipeline: Any, report: Any) -> None:
        report(())
        report((FETCHING,))
        assert server.health()["upgrade"] == FETCHING.sentence
        report((FETCHING,))
        workers.model = "medium"
        report(())

    monkeypatch.setattr(upgrade_plan, "upgrade_models", upgrade_models)
    await process.upgrade_in_background(server, cast(Any, workers))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"upgrade": FETCHING.sentence, "model": "small", "news": [FETCHING.to_json()]},
        {"upgrade": "", "model": "medium", "news": []},
    ]
    assert (server.health()["model"], server.health()["upgrade"]) == ("medium", "")


async def test_failed_upgrade_is_logged_and_leaves_no_stale_news(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    server, workers = make_server()

    async def upgrade_models(pipeline: Any, report: Any) -> None:
        report((FETCHING,))
        raise RuntimeError("a secret")

    monkeypatch.setattr(upgrade_plan, "upgrade_models", upgrade_models)
    await process.upgrade_in_background(server, cast(Any, workers))
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"upgrade": "", "model": "small", "news": []}
    assert (server.health()["model"], server.health()["upgrade"]) == ("small", "")
    assert "upgrade: failed" in caplog.text and "secret" not in caplog.text
