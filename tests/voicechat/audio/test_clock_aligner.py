"""Alignment with the call clock: jitter is left alone, stalls and drift are corrected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.audio.clock_aligner import DRIFT_WINDOW_FRAMES, MAX_DRIFT_SAMPLES, Alignment, ClockAligner
from voicechat.audio.format import FRAME, RATE

STALL = RATE // 10
UNCHANGED = Alignment(0, 0)


def align_steadily(aligner: ClockAligner, lateness: int, frames: int, end: int = RATE) -> list[Alignment]:
    """Feed frames that all arrive with the same lateness."""
    return [aligner.align(end + k * FRAME + lateness, end + k * FRAME, FRAME) for k in range(frames)]


def test_first_frame_is_padded_up_to_the_clock() -> None:
    assert ClockAligner(STALL).align(5000, 0, FRAME) == Alignment(0, 5000)
    assert ClockAligner(STALL).align(0, 0, FRAME) == UNCHANGED


@pytest.mark.parametrize("lateness", [0, STALL, -STALL, -RATE])
def test_jitter_within_the_limits_changes_nothing(lateness: int) -> None:
    assert ClockAligner(STALL).align(2 * RATE + lateness, 2 * RATE, FRAME) == UNCHANGED


def test_stall_becomes_silence_of_its_length() -> None:
    assert ClockAligner(STALL).align(RATE + STALL + 1, RATE, FRAME) == Alignment(0, STALL + 1)


def test_frame_far_ahead_of_the_clock_is_left_out() -> None:
    assert ClockAligner(STALL).align(RATE, 2 * RATE + 1, FRAME) == Alignment(FRAME, 0)


def test_lateness_of_a_whole_window_is_drift_and_becomes_silence() -> None:
    lateness = MAX_DRIFT_SAMPLES + 10
    found = align_steadily(ClockAligner(STALL), lateness, DRIFT_WINDOW_FRAMES)
    assert found == [UNCHANGED] * (DRIFT_WINDOW_FRAMES - 1) + [Alignment(0, lateness)]


def test_lead_of_a_whole_window_is_drift_and_is_left_out_over_several_frames() -> None:
    lead = MAX_DRIFT_SAMPLES + 10
    found = align_steadily(ClockAligner(STALL), -lead, DRIFT_WINDOW_FRAMES + 3)
    assert sum(each.skip for each in found) == lead
    assert [each.skip for each in found[-4:]] == [FRAME, FRAME, FRAME, lead - 3 * FRAME]
    assert not any(each.pad for each in found)


def test_one_punctual_frame_in_a_window_means_no_drift() -> None:
    aligner = ClockAligner(STALL)
    found = align_steadily(aligner, MAX_DRIFT_SAMPLES + 10, DRIFT_WINDOW_FRAMES - 1)
    found += align_steadily(aligner, 0, 1) + align_steadily(aligner, MAX_DRIFT_SAMPLES + 10, DRIFT_WINDOW_FRAMES - 1)
    assert found == [UNCHANGED] * len(found)


@given(st.lists(st.integers(-2 * RATE, 2 * RATE), max_size=150))
def test_correction_never_moves_a_side_past_the_clock(jitter: list[int]) -> None:
    aligner, end = ClockAligner(STALL), 0
    for k, late in enumerate(jitter):
        clock = max(0, k * FRAME + late)
        skip, pad = aligner.align(clock, end, FRAME)
        assert 0 <= skip <= FRAME
        assert pad == 0 or end + pad <= clock
        end += pad + FRAME - skip
