"""Jitter buffer of a WebSocket call (static/scripts/web_audio.js), driven frame by frame without a call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from voicechat.ui.widgets.chatbox import STATIC_DIR

pytestmark = pytest.mark.beside

SAMPLES_PER_MS = 24
"""Samples per millisecond."""

DRIVE_SCRIPT = """(steps) => {
  const buffer = new VoiceJitterBuffer(24000);
  const heard = [], levels = [];
  let next = 1, most = 0;
  for (const [operation, count, loud] of steps) {
    for (let i = 0; i < count; i++) {
      if (operation === "push") buffer.push(Float32Array.from({ length: 480 }, () => (loud ? next++ : 0)));
      else { const out = new Float32Array(480); buffer.pull(out); heard.push(...out); }
      most = Math.max(most, buffer.bufferedSamples);
    }
    levels.push(buffer.bufferedSamples);
  }
  return { heard, levels, most, dry: buffer.underrunCount, target: buffer.target };
}"""
"""Pushes and pulls frames of 480 samples. Loud frames count 1, 2, 3..., so that lost or repeated samples show."""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.add_script_tag(path=str(STATIC_DIR / "scripts" / "web_audio.js"))
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


def test_playback_starts_with_100_ms_and_loses_no_sample(page: Page) -> None:
    result = run_steps(page, ("push", 4, True), ("pull", 3, True))
    assert not nonzero_samples(result["heard"])
    result = run_steps(page, ("push", 5, True), *LOUD_STEPS * 200, ("pull", 5, True))
    assert nonzero_samples(result["heard"]) == list(range(1, 205 * 480 + 1))
    assert result["dry"] == 0


def test_underrun_raises_the_target(page: Page) -> None:
    late: list[BufferStep] = [("pull", 11, True), ("push", 11, True)]
    result = run_steps(page, ("push", 5, True), *late * 20)
    assert nonzero_samples(result["heard"]) == list(range(1, 214 * 480 + 1)), "late, but complete"
    assert result["dry"] == 1
    assert result["target"] == 150 * SAMPLES_PER_MS


def test_target_is_at_most_250_ms(page: Page) -> None:
    sparse: list[BufferStep] = [("push", 13, True), ("pull", 20, True)]
    result = run_steps(page, *sparse * 8, ("push", 13, True))
    assert (result["target"], result["dry"]) == (250 * SAMPLES_PER_MS, 8)
    assert nonzero_samples(result["heard"]) == list(range(1, 8 * 13 * 480 + 1))


def test_surplus_is_dropped_from_silence_only(page: Page) -> None:
    spoken = run_steps(page, ("push", 30, True), *LOUD_STEPS * 100)
    assert spoken["levels"][-1] == 600 * SAMPLES_PER_MS, "speech is not shortened"  # type: ignore[index]
    result = run_steps(page, ("push", 30, True), *LOUD_STEPS * 100, *SILENT_STEPS * 100)
    level = result["levels"][-1]  # type: ignore[index]
    assert 40 * SAMPLES_PER_MS <= level <= 80 * SAMPLES_PER_MS
    assert nonzero_samples(result["heard"]) == list(range(1, 130 * 480 + 1))


def test_buffer_is_bounded(page: Page) -> None:
    result = run_steps(page, ("push", 500, True), ("pull", 1, True))
    assert result["most"] <= 24_000 + 480
    assert nonzero_samples(result["heard"])[0] == 450 * 480 + 1, "the newest second is kept"
