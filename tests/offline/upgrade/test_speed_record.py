"""Record of what earlier starts learnt about the models: speeds, models that end the process, downloads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from offline.upgrade.speed_probe import RecognitionSpeed, SpeedResult
from offline.upgrade.speed_record import RECORD_NAME, SLOW_LIFETIME_S, SLOW_STARTS, SpeedRecord

FAST, SLOW = SpeedResult(24.0, 0.3), SpeedResult(8.0, 1.0)


@dataclass
class Starts:
    """Starts of the process, with a clock of their own."""

    path: Path
    now: float = 1e9

    def start(self, cpu: str = "a processor", processors: int = 4, engines: str = "engine 1") -> SpeedRecord:
        """Return the record of a new start."""
        return SpeedRecord(self.path, cpu, processors, engines=engines, clock=lambda: self.now)


@pytest.fixture
def starts(tmp_path: Path) -> Starts:
    return Starts(tmp_path / RECORD_NAME)


def test_record_belongs_to_a_file_and_a_processor(starts: Starts) -> None:
    record = starts.start()
    record.store("a" * 64, SpeedResult(24.0401, 0.3))
    record.store("b" * 64, RecognitionSpeed(0.1))
    again = starts.start()
    assert again.find("a" * 64, SpeedResult) == SpeedResult(24.04, 0.3)
    assert again.find("b" * 64, RecognitionSpeed) == RecognitionSpeed(0.1)
    assert again.find("b" * 64, SpeedResult) is None, "it is the speed of another kind of model"
    assert again.find("c" * 64, SpeedResult) is None
    for other in (starts.start("another processor"), starts.start(processors=2)):
        assert other.find("a" * 64, SpeedResult) is None
    starts.start("another processor").store("d" * 64, SLOW)
    assert again.find("a" * 64, SpeedResult) is None, "results of another processor are dropped"


def test_slow_result_counts_after_two_starts_and_for_a_week(starts: Starts) -> None:
    for number in range(1, SLOW_STARTS + 1):
        starts.start().store("a", SLOW)
        assert (starts.start().find("a", SpeedResult) is not None) == (number == SLOW_STARTS)
    starts.now += SLOW_LIFETIME_S
    assert starts.start().find("a", SpeedResult) == SLOW
    starts.now += 1
    assert starts.start().find("a", SpeedResult) is None
    assert starts.start().find("a", SpeedResult, is_there=False) == SLOW, "measuring would take a download"
    starts.start().store("a", SLOW)
    assert starts.start().find("a", SpeedResult) is None, "the count begins again"


def test_slow_result_of_the_future_does_not_count(starts: Starts) -> None:
    for _ in range(SLOW_STARTS):
        starts.start().store("a", SLOW)
    starts.now -= 60
    assert starts.start().find("a", SpeedResult) is None


def test_fast_result_stays_and_ends_the_count(starts: Starts) -> None:
    starts.start().store("a", SLOW)
    starts.start().store("a", FAST)
    starts.now += 100 * SLOW_LIFETIME_S
    assert starts.start().find("a", SpeedResult) == FAST
    starts.start().store("a", SLOW)
    assert starts.start().find("a", SpeedResult) is None


def test_model_that_ended_the_process_is_known_until_the_engines_change(starts: Starts) -> None:
    trial = starts.start().trying("a")
    trial.__enter__()  # the process ends here
    assert starts.start().has_ended_process("a")
    with starts.start().trying("b"):
        pass
    assert starts.start().has_ended_process("a"), "another model's trial does not cover it"
    assert not starts.start().has_ended_process("b")
    for other in (starts.start(engines="engine 2"), starts.start("another processor")):
        assert not other.has_ended_process("a")


def test_failed_trial_and_ordered_end_leave_nothing(starts: Starts) -> None:
    record = starts.start()
    with pytest.raises(OSError, match="damaged"), record.trying("a"):
        assert starts.start().has_ended_process("a")
        raise OSError("damaged")
    trial = record.trying("b")
    trial.__enter__()
    record.forget_trial()
    assert not any(starts.start().has_ended_process(each) for each in "ab")


def test_download_is_known_until_it_is_deleted(starts: Starts) -> None:
    starts.start().mark_fetched("a")
    assert (starts.start().was_fetched("a"), starts.start().was_fetched("b")) == (True, False)
    starts.start().mark_fetched("a", is_there=False)
    assert not starts.start().was_fetched("a")


ENTRY = {"speed": {"tokens_per_s": 8, "first_token_s": 1}, "slow_starts": 2}


@pytest.mark.parametrize(
    "raw",
    [
        [],
        {},
        {"results": 1, "trying": [], "fetched": None},
        {"results": {"x": 1}},
        {"results": {"x": {"tokens_per_s": 20, "first_token_s": 0.1}}},
        {"results": {"x": ENTRY}},
        {"results": {"x": {**ENTRY, "unix_time": "yesterday"}}},
        {"results": {"x": {"speed": 8, "slow_starts": 2, "unix_time": 1e9}}},
    ],
)
def test_damaged_record_is_empty(starts: Starts, raw: object) -> None:
    if isinstance(raw, dict):
        raw = {"cpu": "a processor", "processors": 4, **raw}
    starts.path.write_text(json.dumps(raw), encoding="utf-8")
    record = starts.start()
    assert record.find("x", SpeedResult) is None
    assert (record.has_ended_process("x"), record.was_fetched("x")) == (False, False)
    record.store("x", SLOW)
    record.store("x", FAST)
    assert record.find("x", SpeedResult) == FAST


@pytest.mark.parametrize("text", [b"", b"{", "\ud83d".encode("utf-8", "surrogatepass")])
def test_record_that_is_no_json_is_empty(starts: Starts, text: bytes) -> None:
    starts.path.write_bytes(text)
    record = starts.start()
    assert record.find("x", SpeedResult) is None
    record.store("x", FAST)
    assert record.find("x", SpeedResult) == FAST


def test_record_in_a_missing_folder_is_lost(tmp_path: Path) -> None:
    record = SpeedRecord(tmp_path / "none" / RECORD_NAME, "a", 1)
    record.store("x", FAST)
    with record.trying("x"):
        assert record.find("x", SpeedResult) is None
