"""Time and money in a person's words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.accounts import Money
from realtime.snapshot import Snapshot, Stage
from realtime.timing import Span, TurnTime, Waits
from realtime.usage import PRICES, Budget, Tokens
from web.figures import SHOWN, figures, sum_of

SPANS = (
    Span("spoke", 0.0, 1.0),
    Span("waited", 1.0, 1.45),
    Span("transcribing", 1.45, 1.9),
    Span("thinking", 1.45, 1.74),
    Span("speaking", 1.74, 2.0),
    Span("heard", 1.82, 3.0),
)
TURN = TurnTime(0.82, 0.45, 0.29, 0.08, False, SPANS)
TYPED = TurnTime(0.5, 0.0, 0.4, 0.1, True, SPANS[3:])


def page(waits: Waits | None = None, money: Money | None = None) -> Snapshot:
    return Snapshot((), Stage.LISTENING, waits=waits, money=money)


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", html)).strip()


def test_the_sentence() -> None:
    assert sum_of(TURN, "en") == "0.82 s = waited for you to finish 0.45 + model 0.29 + network and playback 0.08"
    assert sum_of(TURN, "zh-TW") == "0.82 s = 等你說完 0.45 + 模型 0.29 + 網路與播放 0.08"
    assert sum_of(TYPED, "en") == "0.50 s = model 0.40 + network and playback 0.10"


@given(st.floats(0, 9), st.floats(0, 9), st.floats(0, 9))
def test_the_parts_add_up_as_they_are_shown(waited: float, model: float, rest: float) -> None:
    turn = TurnTime(waited + model + rest, waited, model, rest, False, ())
    shown = [round(float(number) * 100) for number in re.findall(r"\d+\.\d\d", sum_of(turn, "en"))]
    assert shown[0] == sum(shown[1:])
    assert shown[0] / 100 == pytest.approx(turn.total_s, abs=0.016)


def test_nothing_to_say_is_nothing() -> None:
    assert figures(page(), "en") == ""


def test_the_line_and_the_picture_behind_it() -> None:
    html = figures(page(Waits((TYPED, TURN), 0.8, 1.1)), "en")
    summary, _, picture = html.partition("</summary>")
    assert words(summary) == sum_of(TURN, "en") + " · p50 0.80 s · p95 1.10 s"
    assert picture.count("<caption>") == 2
    assert picture.index(sum_of(TURN, "en")) < picture.index(sum_of(TYPED, "en")), "the newest first"
    assert 'class="waited" style="left:33.3%;width:15.0%"' in picture
    assert "you spoke" in picture and "silence waited" in picture


def test_answers_to_what_was_typed_have_no_percentiles_and_old_ones_are_not_drawn() -> None:
    html = figures(page(Waits((TYPED,) * 8, None, None)), "en")
    assert "p50" not in html
    assert html.count("<table>") == SHOWN


USED = Tokens(text_in=300, text_cached=200, text_out=50, audio_in=1300, audio_cached=500, audio_out=150)


def test_money_with_what_it_was_for() -> None:
    said = words(figures(page(money=Money(0.01234, USED + Tokens(transcription_seconds=12.4))), "en"))
    assert said == (
        "US$0.0123 · audio 1,300 in (500 cached), 150 out · text 300 in (200 cached), 50 out · transcription 12 s · "
        f"list prices of {PRICES.date}"
    )


@pytest.mark.parametrize(
    ("money", "english", "chinese"),
    [
        (Money(0.0, USED, free=True), "US$0: the embedded server runs here", "US$0：內建伺服器在本機執行"),
        (Money(None, USED), "Cost unknown: this model is not in the price table", "費用不明：價目表沒有這個模型"),
    ],
)
def test_free_and_unknown(money: Money, english: str, chinese: str) -> None:
    assert words(figures(page(money=money), "en")).startswith(english + " · audio 1,300 in")
    assert words(figures(page(money=money), "zh-TW")).startswith(chinese + " · 語音 1,300")
    assert PRICES.date not in figures(page(money=money), "en")


@pytest.mark.parametrize("budget", list(Budget))
def test_a_warning_is_there_to_be_read_aloud(budget: Budget) -> None:
    html = figures(page(money=Money(1.0, USED, budget=budget)), "en")
    assert ('class="warning"' in html) is (budget is not Budget.FINE)
    assert f'data-budget="{budget.value}"' in html
