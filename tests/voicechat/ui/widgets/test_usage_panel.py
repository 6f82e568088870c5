"""Usage panel: latency and cost as HTML."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.limits.billing import CostSummary
from voicechat.limits.pricing import PRICES, SpendStatus, TokenUsage
from voicechat.turn_taking.snapshot import CallStage, Snapshot
from voicechat.turn_taking.turn_latency import LatencySpan, LatencySummary, TurnLatency
from voicechat.ui.i18n import Locale
from voicechat.ui.widgets.usage_panel import MAX_SHOWN_TURNS, format_latency_breakdown, render_usage_panel

SPANS = (
    LatencySpan("spoke", 0.0, 1.0),
    LatencySpan("waited", 1.0, 1.45),
    LatencySpan("transcribing", 1.45, 1.9),
    LatencySpan("thinking", 1.45, 1.74),
    LatencySpan("speaking", 1.74, 2.0),
    LatencySpan("heard", 1.82, 3.0),
)
SPOKEN_TURN = TurnLatency(0.82, 0.45, 0.29, 0.08, False, SPANS)
TYPED_TURN = TurnLatency(0.5, 0.0, 0.4, 0.1, True, SPANS[3:])


def snapshot_with(waits: LatencySummary | None = None, money: CostSummary | None = None) -> Snapshot:
    return Snapshot((), CallStage.LISTENING, latency=waits, cost=money)


def visible_text(html: str) -> str:
    """Return the text as a screen reader gets it: elements of a line do not separate words, blocks do."""
    blocks = re.sub(r"</?(div|p|h2|hr|table|caption|tr|th|td)\b[^>]*>", "\n", html)
    lines = (re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", line)).strip() for line in blocks.split("\n"))
    return "\n".join(filter(None, lines))


def test_latency_breakdown_as_text() -> None:
    assert (
        format_latency_breakdown(SPOKEN_TURN, "en")
        == "0.82 s = waited for you to finish 0.45 + model 0.29 + network and playback 0.08"
    )
    assert format_latency_breakdown(SPOKEN_TURN, "zh-TW") == "0.82 s = 等你說完 0.45 + 模型 0.29 + 網路與播放 0.08"
    assert format_latency_breakdown(TYPED_TURN, "en") == "0.50 s = model 0.40 + network and playback 0.10"


@given(st.floats(0, 9), st.floats(0, 9), st.floats(0, 9))
def test_shown_parts_add_up_to_the_shown_total(waited: float, model: float, rest: float) -> None:
    turn = TurnLatency(waited + model + rest, waited, model, rest, False, ())
    shown = [round(float(number) * 100) for number in re.findall(r"\d+\.\d\d", format_latency_breakdown(turn, "en"))]
    assert shown[0] == sum(shown[1:])
    assert shown[0] / 100 == pytest.approx(turn.total_s, abs=0.016)


@given(*[st.floats(0, 9)] * 3)
def test_every_place_shows_the_same_total(waited: float, model: float, rest: float) -> None:
    turn = TurnLatency(waited + model + rest, waited, model, rest, False, ())
    panel = visible_text(render_usage_panel(snapshot_with(LatencySummary((turn,), None, None)), "en"))
    total = format_latency_breakdown(turn, "en").partition(" s")[0]
    assert len(re.findall(rf"(?<![\d.]){re.escape(total)} s", panel)) == 4, "line, title, sum and caption"


def test_panel_is_empty_without_latency_and_cost() -> None:
    assert render_usage_panel(snapshot_with(), "en") == ""


def test_latency_summary_and_its_chart() -> None:
    html = render_usage_panel(snapshot_with(LatencySummary((TYPED_TURN, SPOKEN_TURN), 0.8, 1.1)), "en")
    summary, _, picture = html.partition("</summary>")
    assert visible_text(summary) == "Answered in 0.82 s"
    assert visible_text(picture).startswith(
        "The last answer\n0.82 s from the end of your speech to your ear\n"
        f"{format_latency_breakdown(SPOKEN_TURN, 'en')}\n"
        "half of the answers came within 0.80 s · 95 of 100 answers came within 1.10 s\n"
    )
    captions = re.findall("<caption>(.*?)</caption>", picture)
    assert captions == [format_latency_breakdown(turn, "en") for turn in (SPOKEN_TURN, TYPED_TURN)], "newest turn first"
    assert 'class="waited" style="left:33.3%;width:15.0%"' in picture
    assert "you spoke" in picture and "waiting for silence" in picture


def test_typed_turns_have_no_percentiles_and_old_turns_no_chart() -> None:
    html = render_usage_panel(snapshot_with(LatencySummary((TYPED_TURN,) * 8, None, None)), "en")
    assert "came within" not in html and '<p class="fine"></p>' not in html
    assert html.count("<table>") == MAX_SHOWN_TURNS


USED = TokenUsage(text_in=300, text_cached=200, text_out=50, audio_in=1300, audio_cached=500, audio_out=150)


def test_cost_lists_the_tokens() -> None:
    shown = visible_text(
        render_usage_panel(
            snapshot_with(money=CostSummary(0.01234, USED + TokenUsage(transcription_seconds=12.4))), "en"
        )
    )
    assert shown == (
        f"US$0.0123\nUS$0.0123 list prices of {PRICES.date}\n"
        "audio 1,300 in (500 cached), 150 out · text 300 in (200 cached), 50 out · transcription 12 s"
    )


@pytest.mark.parametrize(
    ("money", "english", "chinese"),
    [
        (
            CostSummary(0.0, USED, is_free=True),
            "US$0\nUS$0 the models run on computers of the operator\n",
            "US$0\nUS$0 模型在管理員的電腦上執行，不收費\n",
        ),
        (
            CostSummary(None, USED),
            "Cost unknown\nCost unknown this model is not in the price table\n",
            "費用不明\n費用不明 價目表沒有這個模型\n",
        ),
    ],
)
def test_free_and_unknown_cost(money: CostSummary, english: str, chinese: str) -> None:
    assert visible_text(render_usage_panel(snapshot_with(money=money), "en")).startswith(english + "audio 1,300 in")
    assert visible_text(render_usage_panel(snapshot_with(money=money), "zh-TW")).startswith(chinese + "語音 1,300")
    assert PRICES.date not in render_usage_panel(snapshot_with(money=money), "en")


@pytest.mark.parametrize("locale", ["en", "zh-TW"])
def test_line_is_the_last_answer_and_the_cost(locale: Locale) -> None:
    snapshot = snapshot_with(LatencySummary((TYPED_TURN, SPOKEN_TURN), 0.8, 1.1), CostSummary(0.01234, USED))
    summary, _, detail = render_usage_panel(snapshot, locale).partition("</summary>")
    assert (
        visible_text(summary)
        == {
            "en": "Answered in 0.82 s · US$0.0123",
            "zh-TW": "回應時間 0.82 秒 · US$0.0123",
        }[locale]
    )
    assert "<hr>" in detail, "two parts"


@pytest.mark.parametrize("budget", list(SpendStatus))
def test_spend_status_shows_a_warning(budget: SpendStatus) -> None:
    html = render_usage_panel(snapshot_with(money=CostSummary(1.0, USED, status=budget)), "en")
    summary = visible_text(html.partition("</summary>")[0])
    assert (summary == "US$1.0000") is (budget is SpendStatus.OK), "the warning takes the line"
    assert ('class="warning"' in html) is (budget is not SpendStatus.OK)
    assert f'data-budget="{budget.value}"' in html
