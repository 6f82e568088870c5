"""Plan of the upgrades: what a computer tries, with fake engines in a real pipeline and a fake hub."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from offline.models.catalogue import LlmTier, SttTier
from offline.models.store import ModelSpec, ModelStore
from offline.pipeline.loader import Pipeline
from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import Priority, PriorityExecutor
from offline.pipeline.session_worker import LoadedModels
from offline.pipeline.speech_models import SpeechModels
from offline.protocol.worker_messages import LlmMessage, ReplyRequest
from offline.upgrade import upgrade_plan
from offline.upgrade.speed_probe import MAX_REAL_TIME_FACTOR, RecognitionSpeed, SpeedResult
from offline.upgrade.speed_record import RECORD_NAME, SLOW_STARTS, SpeedRecord
from offline.upgrade.upgrade_news import UpgradeKind, UpgradeNews, UpgradeStage, join_sentences
from offline.upgrade.upgrade_plan import threads_for, upgrade_models
from tests.support.models.fake_hub import HUB_DATA, hub_models, running_hub
from tests.support.models.fake_upgrade import make_machine
from tests.support.offline.fake_models import (
    RESULT_TIMEOUT_S,
    FakeLanguageModel,
    FakeRecognizer,
    FakeSynthesizer,
    wait_until,
)

FAST, SLOW = SpeedResult(30.0, 0.2), SpeedResult(9.0, 0.9)
SAMPLE = np.zeros(8000, np.float32)
STORE = ModelStore(llm=Path("carried.gguf"), moonshine=None, whisper=Path("whisper-base"), kokoro=None)


class SilentWhisper:
    """Whisper model that recognises nothing."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder, self.threads = folder, threads

    def transcribe(self, audio: object, language: str) -> str:
        return ""


@dataclass
class PlanRig:
    """Pipeline with fake engines, and what its upgrade did."""

    pipeline: Pipeline
    root: Path
    news: list[tuple[UpgradeNews, ...]] = field(default_factory=list)
    probed: list[object] = field(default_factory=list)
    speed: SpeedResult = FAST

    async def upgrade(self, processors: int, **settings: str) -> None:
        environ: Mapping[str, str] = {"OFFLINE_MODELS": str(self.root), **settings}
        machine = make_machine(processors=processors)
        await upgrade_models(self.pipeline, self.news.append, environ, inspect=lambda: machine, quiet_s=0)

    @property
    def sentences(self) -> list[str]:
        return [join_sentences(each) for each in self.news]

    @property
    def present_llm(self) -> str:
        return self.pipeline.model


def make_pipeline(store: ModelStore = STORE) -> Pipeline:
    runtime = ModelRuntime(
        FakeLanguageModel(), FakeSynthesizer(), PriorityExecutor("llm"), PriorityExecutor("tts"), ("en", "zh"), 4096
    )
    speech = SpeechModels(whisper=cast(Any, SilentWhisper(Path("whisper-base"), 2)), sample=SAMPLE)
    return Pipeline(LoadedModels(FakeRecognizer(), PriorityExecutor("stt"), runtime), speech, store, "carried", 2)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlanRig:
    """Return a rig whose models are fast, and whose hub does not answer."""
    rig = PlanRig(make_pipeline(), tmp_path)

    def probe(model: object, interrupted: object) -> SpeedResult:
        rig.probed.append(model)
        return rig.speed

    monkeypatch.setattr(upgrade_plan, "probe_speed", probe)
    monkeypatch.setattr(
        upgrade_plan, "create_llm", lambda path, slots, threads: (FakeLanguageModel(pieces=[path.stem]), path.stem)
    )
    monkeypatch.setattr(upgrade_plan, "Whisper", SilentWhisper)
    use_hub(rig, monkeypatch, "http://127.0.0.1:9")
    return rig


def use_hub(rig: PlanRig, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Let the manifest name the models of a fake hub, its "small" also as Whisper small."""
    models = hub_models(rig.root, url)
    whisper = replace(models["small"], name="whisper-small", tier=SttTier.SMALL)
    listed: tuple[ModelSpec, ...] = (*models.values(), whisper)
    monkeypatch.setattr(upgrade_plan, "read_manifest", lambda environ: listed)


async def test_four_processors_get_the_medium_model(rig: PlanRig, monkeypatch: pytest.MonkeyPatch) -> None:
    former = rig.pipeline.runtime
    with running_hub() as hub:
        use_hub(rig, monkeypatch, hub.url)
        await rig.upgrade(4)
        assert hub.requested_tiers == ["medium"]
    assert (rig.present_llm, rig.sentences[-1]) == ("medium", "")
    runtime = rig.pipeline.runtime
    assert isinstance(runtime.llm, FakeLanguageModel) and len(runtime.llm.prefilled_prompts) == 2, "once per slot"
    assert (runtime.few_shot, runtime.tts) == (False, former.tts)
    worker = rig.pipeline.open(lambda result: None)
    assert worker._models.runtime is runtime
    await worker.close()


async def test_probe_is_not_repeated_at_the_next_start(rig: PlanRig, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_hub() as hub:
        use_hub(rig, monkeypatch, hub.url)
        await rig.upgrade(4)
        rig.pipeline = make_pipeline()
        await rig.upgrade(4)
        assert len(hub.requests) == 1
    assert (rig.present_llm, len(rig.probed)) == ("medium", 1)


async def test_slow_computer_gets_the_general_small_model_and_says_why(
    rig: PlanRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.speed = SLOW
    medium = rig.root / "model-medium" / "medium.gguf"
    with running_hub() as hub:
        use_hub(rig, monkeypatch, hub.url)
        for start in range(1, SLOW_STARTS + 2):
            rig.pipeline = make_pipeline()
            await rig.upgrade(4)
            assert rig.present_llm == "small" and rig.pipeline.runtime.few_shot
            assert "too slow for this computer" in rig.sentences[-1]
            assert medium.exists() == (start < SLOW_STARTS), "a model that is too slow for good takes no room"
        assert hub.requested_tiers == ["medium", "small"]
    assert len(rig.probed) == SLOW_STARTS * upgrade_plan.PROBES, "the result is kept"


async def test_slow_model_that_was_there_before_is_kept(rig: PlanRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.speed = SLOW
    medium = rig.root / "model-medium" / "medium.gguf"
    medium.parent.mkdir()
    medium.write_bytes(HUB_DATA["medium"])
    with running_hub() as hub:
        use_hub(rig, monkeypatch, hub.url)
        for _ in range(SLOW_STARTS + 1):
            rig.pipeline = make_pipeline()
            await rig.upgrade(4)
    assert (rig.present_llm, medium.exists()) == ("small", True)


@pytest.mark.parametrize(
    ("tokens_per_s", "tiers"), [(20.0, ["small"]), (30.0, ["medium"])], ids=["clearly too slow", "perhaps fast enough"]
)
async def test_speed_of_the_loaded_model_decides_on_a_download(
    rig: PlanRig, monkeypatch: pytest.MonkeyPatch, tokens_per_s: float, tiers: list[str]
) -> None:
    carried = rig.root / "carried.gguf"
    carried.write_bytes(b"\0" * (len(HUB_DATA["medium"]) // 2))
    rig.pipeline = make_pipeline(replace(STORE, llm=carried))
    model = rig.pipeline.runtime.llm
    rig.speed = SpeedResult(tokens_per_s, 0.2)
    with running_hub() as hub:
        use_hub(rig, monkeypatch, hub.url)
        await rig.upgrade(4)
        assert hub.requested_tiers == tiers
    assert rig.present_llm == tiers[0]
    assert rig.probed.count(model) == upgrade_plan.PROBES
    assert isinstance(model, FakeLanguageModel) and len(model.prefilled_prompts) == 2, "its prompt is processed again"


@pytest.mark.parametrize("sha256_of", ["medium", "whisper"])
async def test_model_that_ended_an_earlier_process_is_not_tried(
    rig: PlanRig, monkeypatch: pytest.MonkeyPatch, sha256_of: str
) -> None:
    tier = "medium" if sha256_of == "medium" else "small"
    sha256 = hashlib.sha256(HUB_DATA[tier]).hexdigest()
    machine = make_machine(processors=5)
    record = SpeedRecord(
        rig.root / RECORD_NAME,
        machine.cpu_name,
        machine.processors,
        engines=", ".join(upgrade_plan.engine_versions()),
    )
    trial = record.trying(sha256)
    trial.__enter__()  # that process ended here
    with running_hub() as hub:
        use_hub(rig, monkeypatch, hub.url)
        await rig.upgrade(5)
        assert tier not in hub.requested_tiers
    assert "because it could not be loaded" in rig.sentences[-1]
    assert record.has_ended_process(sha256) is False, "a record tells of earlier starts only"


async def test_end_of_the_process_while_a_model_loads_is_no_failure(
    rig: PlanRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, end = threading.Event(), threading.Event()

    def create_llm(path: Path, slots: int, threads: int) -> tuple[FakeLanguageModel, str]:
        started.set()
        end.wait(RESULT_TIMEOUT_S)
        return FakeLanguageModel(), path.stem

    monkeypatch.setattr(upgrade_plan, "create_llm", create_llm)
    with running_hub() as hub:
        use_hub(rig, monkeypatch, hub.url)
        running = asyncio.create_task(rig.upgrade(4))
        await wait_until(started.is_set)
        assert '"trying": {}' not in (rig.root / RECORD_NAME).read_text(encoding="utf-8")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert '"trying": {}' in (rig.root / RECORD_NAME).read_text(encoding="utf-8")
        end.set()


async def test_slow_recognition_model_is_not_used(rig: PlanRig, monkeypatch: pytest.MonkeyPatch) -> None:
    probed: list[object] = []

    def probe(model: object, sample: object, interrupted: object) -> RecognitionSpeed:
        probed.append(sample)
        return RecognitionSpeed(2 * MAX_REAL_TIME_FACTOR)

    monkeypatch.setattr(upgrade_plan, "probe_recognition", probe)
    whisper = rig.pipeline.whisper
    with running_hub() as hub:
        use_hub(rig, monkeypatch, hub.url)
        await rig.upgrade(8)
    assert rig.pipeline.whisper is whisper
    assert rig.sentences[-1] == (
        "A better speech recognition model is not used, because it is too slow for this computer: "
        "the present one stays."
    )
    assert probed and all(each is SAMPLE for each in probed), "no voice is used beside the sessions"


async def test_two_processors_try_the_small_model_only_and_say_why(
    rig: PlanRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_hub() as hub:
        use_hub(rig, monkeypatch, hub.url)
        await rig.upgrade(2)
        assert hub.requested_tiers == ["small"]
    assert (rig.present_llm, rig.probed) == ("small", [])
    assert rig.sentences[-1] == (
        "The small language model answers, because a better one needs 4 processors and this computer has 2."
    )


async def test_model_that_is_loaded_already_is_not_tried(rig: PlanRig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.pipeline = make_pipeline(replace(STORE, llm_tier=LlmTier.SMALL))
    with running_hub() as hub:
        use_hub(rig, monkeypatch, hub.url)
        await rig.upgrade(2)
        assert hub.requests == []
    assert rig.present_llm == "carried"


async def test_many_processors_get_the_large_model_and_whisper_small(
    rig: PlanRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_hub() as hub:
        use_hub(rig, monkeypatch, hub.url)
        await rig.upgrade(8)
        assert hub.requested_tiers == ["large", "small"]
    assert rig.present_llm == "large"
    assert isinstance(rig.pipeline.whisper, SilentWhisper)
    assert rig.pipeline.whisper.folder == rig.root / "whisper-small"
    worker = rig.pipeline.open(lambda result: None)
    assert worker._models.recognizer.languages == ("en", "zh")
    await worker.close()


async def test_former_models_are_released_by_the_swap(rig: PlanRig, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, models = rig.pipeline.runtime, rig.pipeline._models
    prompt = runtime.build_prompt(ReplyRequest((LlmMessage("user", "."),), speak=True))
    await runtime.prefill(prompt, 0)
    await runtime.synthesize("Hello.", 1.0, Priority.BACKGROUND)
    whisper = rig.pipeline.whisper
    assert whisper is not None
    await models.stt_executor.run(Priority.BACKGROUND, partial(whisper.transcribe, SAMPLE, "zh"))
    former = [weakref.ref(each) for each in (runtime, runtime.llm, whisper)]
    del runtime, models, prompt, whisper
    with running_hub() as hub:
        use_hub(rig, monkeypatch, hub.url)
        await rig.upgrade(8)
    assert rig.present_llm == "large"
    assert [each() for each in former] == [None] * 3


async def test_without_a_hub_nothing_changes(rig: PlanRig) -> None:
    await rig.upgrade(8)
    assert (rig.present_llm, set(rig.sentences)) == ("carried", {""})


@pytest.mark.parametrize(
    "settings",
    [{"OFFLINE_UPGRADE": "false"}, {"OFFLINE_LLM": "medium", "OFFLINE_STT": "base"}, {"OFFLINE_LLM": "own.gguf"}],
    ids=["switched off", "chosen by name", "own file"],
)
async def test_chosen_models_are_not_changed(
    rig: PlanRig, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    with running_hub() as hub:
        use_hub(rig, monkeypatch, hub.url)
        await rig.upgrade(4, **settings)
        assert hub.requests == []
    assert (rig.present_llm, any(rig.sentences)) == ("carried", False)


async def test_missing_chosen_model_is_reported_with_its_remedy(rig: PlanRig) -> None:
    rig.pipeline = make_pipeline(replace(STORE, missing_tiers=("qwen",)))
    await rig.upgrade(4, OFFLINE_LLM="medium", OFFLINE_STT="base")
    assert rig.sentences == ["The chosen model qwen is missing: run `python -m offline.models fetch`."]


async def test_session_that_is_open_keeps_its_models(rig: PlanRig, monkeypatch: pytest.MonkeyPatch) -> None:
    started, go_on = threading.Event(), threading.Event()

    def create_llm(path: Path, slots: int, threads: int) -> tuple[FakeLanguageModel, str]:
        started.set()
        assert go_on.wait(RESULT_TIMEOUT_S)
        return FakeLanguageModel(), path.stem

    monkeypatch.setattr(upgrade_plan, "create_llm", create_llm)
    with running_hub() as hub:
        use_hub(rig, monkeypatch, hub.url)
        running = asyncio.create_task(rig.upgrade(4))
        await wait_until(started.is_set)
        worker = rig.pipeline.open(lambda result: None)
        runtime = worker._models.runtime
        go_on.set()
        await wait_until(lambda: rig.news[-1] == (UpgradeNews(UpgradeStage.AFTER_CALL, UpgradeKind.LLM),))
        assert rig.present_llm == "carried" and rig.pipeline.runtime is runtime
        with pytest.raises(AssertionError):
            rig.pipeline.replace_runtime(runtime, "other")
        await worker.close()
        await running
    assert rig.present_llm == "medium" and worker._models.runtime is runtime


@pytest.mark.parametrize(
    ("tier", "processors", "threads"),
    [
        (LlmTier.SMALL, 2, 2),
        (LlmTier.SMALL, 16, 4),
        (LlmTier.MEDIUM, 4, 4),
        (LlmTier.LARGE, 8, 4),
        (LlmTier.LARGE, 16, 8),
        (LlmTier.LARGE, 64, 8),
    ],
)
def test_threads_of_a_language_model(tier: LlmTier, processors: int, threads: int) -> None:
    assert threads_for(tier, processors) == threads
