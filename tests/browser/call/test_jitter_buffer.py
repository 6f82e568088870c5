"""Jitter buffer of a WebSocket call (voicechat/ui/static/web_audio.js), driven frame by frame without a call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from voicechat.ui.widgets.chatbox import STATIC_DIR

SAMPLES_PER_MS = 24
"""Samples in a millisecond."""

DRIVE_SCRIPT = """(steps) => {
  const buffer = new VoiceJitterBuffer(24000);
  const heard = [], levels = [];
  let next = 1, most = 0;
  for (const [what, count, loud] of steps) {
    for (let i = 0; i < count; i++) {
      if (what === "push") buffer.push(Float32Array.from({ length: 480 }, () => (loud ? next++ : 0)));
      else { const out = new Float32Array(480); buffer.pull(out); heard.push(...out); }
      most = Math.max(most, buffer.bufferedSamples);
    }
    levels.push(buffer.bufferedSamples);
  }
  return { heard, levels, most, dry: buffer.underrunCount, target: buffer.target };
}"""
"""Pushes and pulls frames of 480; loud ones hold 1, 2, 3... throughout, so that what is lost or repeated shows."""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.add_script_tag(path=str(STATIC_DIR / "web_audio.js"))
    yield page
    page.close()


BufferStep = tuple[str, int, bool]
LOUD_STEPS: list[BufferStep] = [("push", 1, True), ("pull", 1, True)]
SILENT_STEPS: list[BufferStep] = [("push", 1, False), ("pull", 1, False)]


def run_steps(page: Page, *steps: BufferStep) -> dict[str, object]:
    result: dict[str, object] = page.evaluate(DRIVE_SCRIPT, list(steps))
    return result


def nonzero_samples(heard: object) -> list[float]:
    assert isinstance(heard, list)
    return [sample for sample in heard if sample]


def test_it_begins_with_100_ms_and_loses_nothing(page: Page) -> None:
    result = run_steps(page, ("push", 4, True), ("pull", 3, True))
    assert not nonzero_samples(result["heard"])
    result = run_steps(page, ("push", 5, True), *LOUD_STEPS * 200, ("pull", 5, True))
    assert nonzero_samples(result["heard"]) == list(range(1, 205 * 480 + 1))
    assert result["dry"] == 0


def test_uneven_arrival_is_learned(page: Page) -> None:
    late: list[BufferStep] = [("pull", 11, True), ("push", 11, True)]
    result = run_steps(page, ("push", 5, True), *late * 20)
    assert nonzero_samples(result["heard"]) == list(range(1, 214 * 480 + 1)), "late, but all of it"
    assert result["dry"] == 1
    assert result["target"] == 150 * SAMPLES_PER_MS


def test_it_never_waits_for_more_than_250_ms(page: Page) -> None:
    scarce: list[BufferStep] = [("push", 13, True), ("pull", 20, True)]
    result = run_steps(page, *scarce * 8, ("push", 13, True))
    assert (result["target"], result["dry"]) == (250 * SAMPLES_PER_MS, 8)
    assert nonzero_samples(result["heard"]) == list(range(1, 8 * 13 * 480 + 1))


def test_what_piled_up_is_left_out_of_silence_only(page: Page) -> None:
    spoken = run_steps(page, ("push", 30, True), *LOUD_STEPS * 100)
    assert spoken["levels"][-1] == 600 * SAMPLES_PER_MS, "speech is not shortened"  # type: ignore[index]
    result = run_steps(page, ("push", 30, True), *LOUD_STEPS * 100, *SILENT_STEPS * 100)
    level = result["levels"][-1]  # type: ignore[index]
    assert 40 * SAMPLES_PER_MS <= level <= 80 * SAMPLES_PER_MS
    assert nonzero_samples(result["heard"]) == list(range(1, 130 * 480 + 1))


def test_it_is_bounded(page: Page) -> None:
    result = run_steps(page, ("push", 500, True), ("pull", 1, True))
    assert result["most"] <= 24_000 + 480
    assert nonzero_samples(result["heard"])[0] == 450 * 480 + 1, "the newest second is kept"
