"""News of better models: read leniently from a status line of any version of the embedded server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.upgrade.upgrade_news import REASONS, UpgradeKind, UpgradeNews, UpgradeStage
from voicechat.upstream.model_news import (
    MAX_NAME_CHARS,
    MAX_NEWS,
    ModelKind,
    ModelNews,
    ModelNewsStage,
    NotUsedReason,
    parse_model_news,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)
FIELDS = ("stage", "kind", "percent", "megabytes", "reason", "processors", "needed_processors", "model")


def test_codes_are_those_of_the_embedded_server() -> None:
    assert {each.value for each in UpgradeStage} == set(ModelNewsStage)
    assert {each.value for each in UpgradeKind} == set(ModelKind)
    assert {each.value for each in REASONS} == set(NotUsedReason)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (
            UpgradeNews(UpgradeStage.FETCHING, UpgradeKind.STT, percent=40, megabytes=486),
            ModelNews(ModelNewsStage.FETCHING, ModelKind.STT, 40, 486),
        ),
        (
            UpgradeNews(UpgradeStage.FEW_PROCESSORS, UpgradeKind.LLM, processors=2, needed_processors=4),
            ModelNews(ModelNewsStage.FEW_PROCESSORS, ModelKind.LLM, processors=2, needed_processors=4),
        ),
        (
            UpgradeNews(UpgradeStage.CHOSEN_MISSING, model="qwen"),
            ModelNews(ModelNewsStage.CHOSEN_MISSING, model="qwen"),
        ),
    ],
)
def test_news_of_the_embedded_server_are_read(sent: UpgradeNews, expected: ModelNews) -> None:
    assert parse_model_news({"upgrade": sent.sentence, "news": [sent.to_json()]}) == (expected,)


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.value)
def test_every_reason_is_read(reason: object) -> None:
    sent = UpgradeNews(UpgradeStage.NOT_USED, UpgradeKind.LLM, reason=reason, is_smaller_installed=True)  # type: ignore[arg-type]
    (news,) = parse_model_news({"news": [sent.to_json()]})
    assert news.reason is not None and news.reason == sent.to_json()["reason"]


def test_unknown_stages_and_reasons_do_no_harm() -> None:
    raw = [{"stage": "dreaming"}, {"stage": "not_used", "reason": "a later one"}, "fetching", None]
    assert parse_model_news({"news": raw}) == (ModelNews(ModelNewsStage.NOT_USED),)


def test_news_are_bounded() -> None:
    raw = [{"stage": "chosen_missing", "model": "x" * 1000}] * 1000
    news = parse_model_news({"news": raw})
    assert len(news) == MAX_NEWS and len(news[0].model) == MAX_NAME_CHARS


@given(value=JSON, entries=st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON | st.sampled_from(ModelNewsStage))))
def test_any_status_line_is_read(value: object, entries: list[dict[str, object]]) -> None:
    assert parse_model_news({}) == parse_model_news({"news": value if not isinstance(value, list) else None}) == ()
    for news in parse_model_news({"news": entries}):
        assert news.stage in set(ModelNewsStage)
        assert min(news.percent, news.megabytes, news.processors, news.needed_processors) >= 0
