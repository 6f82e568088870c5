"""Upgrade news: how far the upgrade of a model has come, as a value, as JSON of a status line, and as a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class UpgradeKind(Enum):
    """Model of the pipeline that has tiers."""

    LLM = "llm"
    STT = "stt"

    @property
    def noun(self) -> str:
        """Name in a sentence: "a better language model"."""
        return "language model" if self is UpgradeKind.LLM else "speech recognition model"


class UpgradeStage(Enum):
    """Stage of an upgrade, and the fields of its news."""

    FETCHING = "fetching"
    """`percent` of `megabytes`, of the largest file."""
    LOADING = "loading"
    AFTER_CALL = "after_call"
    """The better model is loaded. It is tried, or takes over, while no session is open."""
    NOT_USED = "not_used"
    """For a `reason`."""
    FEW_PROCESSORS = "few_processors"
    """This computer has `processors`; a better model needs `needed_processors`."""
    CHOSEN_MISSING = "chosen_missing"
    """The `model` that a setting names is not there. The news has no kind."""


class UpgradeOutcome(Enum):
    """End of one candidate."""

    INSTALLED = "installed"
    TOO_SLOW = "too_slow"
    NO_MEMORY = "no_memory"
    NO_DISK = "no_disk"
    HUB_AWAY = "hub_away"
    NOT_FETCHED = "not_fetched"
    FAILED = "failed"


REASONS = {
    UpgradeOutcome.TOO_SLOW: "it is too slow for this computer",
    UpgradeOutcome.NO_MEMORY: "it needs more free memory",
    UpgradeOutcome.NO_DISK: "it needs more room on the disk",
    UpgradeOutcome.NOT_FETCHED: "it could not be fetched",
    UpgradeOutcome.FAILED: "it could not be loaded",
}
"""Words for the outcomes that the operator should know. A hub that is away changes nothing, and is not mentioned."""


@dataclass(frozen=True, slots=True)
class UpgradeNews:
    """News of one upgrade. Which fields are set depends on the stage (`UpgradeStage`)."""

    stage: UpgradeStage
    kind: UpgradeKind | None = None
    percent: int | None = None
    megabytes: int | None = None
    """Size of the largest file, in units of 10**6 bytes."""
    reason: UpgradeOutcome | None = None
    """A key of `REASONS`."""
    is_smaller_installed: bool | None = None
    """Whether a smaller candidate took over, where the best one is not used."""
    processors: int | None = None
    needed_processors: int | None = None
    model: str | None = None

    @property
    def sentence(self) -> str:
        """One English sentence for the operator."""
        noun = self.kind.noun if self.kind else ""
        match self.stage:
            case UpgradeStage.FETCHING:
                return f"Fetching a better {noun}: {self.percent} % of {self.megabytes} MB."
            case UpgradeStage.LOADING:
                return f"Loading a better {noun}."
            case UpgradeStage.AFTER_CALL:
                return f"A better {noun} is loaded and waits until no call is open."
            case UpgradeStage.NOT_USED:
                reason = REASONS[self.reason] if self.reason else "it failed"
                stays = "a smaller one answers" if self.is_smaller_installed else "the present one stays"
                return f"A better {noun} is not used, because {reason}: {stays}."
            case UpgradeStage.FEW_PROCESSORS:
                return (
                    f"The small {noun} answers, because a better one needs {self.needed_processors} processors and "
                    f"this computer has {self.processors}."
                )
            case UpgradeStage.CHOSEN_MISSING:
                return f"The chosen model {self.model} is missing: run `python -m offline.models fetch`."

    def to_json(self) -> dict[str, object]:
        """Return the fields that are set, as values of JSON."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: value.value if isinstance(value, Enum) else value
            for name, value in values.items()
            if value is not None
        }


def join_sentences(news: Iterable[UpgradeNews]) -> str:
    """Return the sentences as one text; "" without news."""
    return " ".join(each.sentence for each in news)
