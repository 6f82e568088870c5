"""News of the embedded server's models, as its status lines report them: better ones, and fall-backs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voicechat.protocol.event_fields import Event, get_object, get_objects, get_string, to_count

MAX_NEWS = 10
"""News of one status line that are read; there are two models, and a missing one for each."""
MAX_NAME_CHARS = 200
"""Characters of a model's name."""


class ModelKind(StrEnum):
    """Model that has better ones."""

    LLM = "llm"
    STT = "stt"


class ModelNewsStage(StrEnum):
    """Stage of a better model, or why it is not used."""

    FETCHING = "fetching"
    LOADING = "loading"
    AFTER_CALL = "after_call"
    NOT_USED = "not_used"
    FEW_PROCESSORS = "few_processors"
    CHOSEN_MISSING = "chosen_missing"


class EmbeddedPart(StrEnum):
    """Part of the embedded server for which an endpoint can be set."""

    LLM = "llm"
    STT = "stt"
    TTS = "tts"


class NotUsedReason(StrEnum):
    """Reason why a better model is not used."""

    TOO_SLOW = "too_slow"
    NO_MEMORY = "no_memory"
    NO_DISK = "no_disk"
    NOT_FETCHED = "not_fetched"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ModelNews:
    """News of one better model. The numbers are 0 where the stage has none."""

    stage: ModelNewsStage
    kind: ModelKind = ModelKind.LLM
    percent: int = 0
    megabytes: int = 0
    reason: NotUsedReason | None = None
    processors: int = 0
    needed_processors: int = 0
    model: str = ""


def parse_model_news(status: Event) -> tuple[ModelNews, ...]:
    """Return the news of a status line. Those of an unknown stage are left out."""
    parsed = (_parse_entry(entry) for entry in get_objects(status, "news")[:MAX_NEWS])
    return tuple(news for news in parsed if news is not None)


def parse_fallbacks(status: Event) -> frozenset[EmbeddedPart]:
    """Return the parts that the embedded server does itself at present, because their endpoints fail."""
    faults = get_object(status, "endpoint_faults")
    return frozenset(part for part in EmbeddedPart if get_string(faults, part))


def _parse_entry(entry: Event) -> ModelNews | None:
    stage, reason = get_string(entry, "stage"), get_string(entry, "reason")
    if stage not in set(ModelNewsStage):
        return None
    return ModelNews(
        ModelNewsStage(stage),
        ModelKind.STT if entry.get("kind") == ModelKind.STT else ModelKind.LLM,
        to_count(entry.get("percent")),
        to_count(entry.get("megabytes")),
        NotUsedReason(reason) if reason in set(NotUsedReason) else None,
        to_count(entry.get("processors")),
        to_count(entry.get("needed_processors")),
        get_string(entry, "model")[:MAX_NAME_CHARS],
    )
