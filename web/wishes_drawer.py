"""The drawer in which a visitor says how their calls should be. What changes is applied at once where the protocol lets
it, and the page says when it counts."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.events import Dependency

from realtime.endpoint import ServerKind
from realtime.settings import Language, NoiseReduction, Settings
from realtime.usage import PRICES
from realtime.wishes import MOST_INSTRUCTIONS, Pace, Wishes
from realtime_handler import Visitor

from .texts import LANGUAGES, NOISES, PACES, PRESETS, WISHES, Locale, label, pick, sentence

VOICES = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")
"""OpenAI's (2026-11); other servers have others, so any name can be typed."""
MOST_NAME = 100
"""Characters of a model's or a voice's name."""
AS_SET = ""
"""Stands for: as the operator set it."""
OWN = "own"
"""The preset of one's own words."""


def wishes_of(
    model: Any, voice: Any, language: Any, preset: Any, words: Any, pace: Any, noise: Any, speed: Any, cap: Any
) -> Wishes:
    """What the drawer's fields say. Values that are none of the choices count as not chosen."""
    chosen = PRESETS[preset][2] if preset in PRESETS else str(words or "").strip() if preset == OWN else ""
    return Wishes(
        model=str(model or "").strip()[:MOST_NAME],
        voice=str(voice or "").strip()[:MOST_NAME],
        language=Language(language) if language in set(Language) else None,
        instructions=chosen[:MOST_INSTRUCTIONS],
        pace=Pace(pace) if pace in set(Pace) else Pace.BALANCED,
        noise=NoiseReduction(noise) if noise in set(NoiseReduction) else None,
        speed=float(speed) if isinstance(speed, int | float) else None,
        call_cost=max(0.0, float(cap)) if isinstance(cap, int | float) else 0.0,
    )


def models_for(settings: Settings) -> list[str]:
    """The models that are offered: the operator's, and to those who may use their own key all that OpenAI has."""
    known = list(PRICES.models) if settings.allow_own_key and settings.kind is ServerKind.OPENAI else []
    return list(dict.fromkeys([*settings.models, *known]))


def build(settings: Settings, visitor: gr.State, locale: gr.State, begin: Dependency) -> None:
    """Lay out the drawer inside the current Blocks and wire it. `begin` is the event after which `locale` is known."""
    offline = settings.kind is ServerKind.OFFLINE
    models = models_for(settings)
    with gr.Accordion(label("wishes_title"), open=False, elem_id="wishes"):
        with gr.Row():
            model = gr.Dropdown(
                choices=[AS_SET, *models],
                value=AS_SET,
                allow_custom_value=settings.allow_own_key,
                label=label("wish_model"),
                elem_id="wish-model",
                visible=not offline and bool(models),
            )
            voice = gr.Dropdown(
                choices=[AS_SET, *VOICES],
                value=AS_SET,
                allow_custom_value=True,
                label=label("wish_voice"),
                elem_id="wish-voice",
                visible=not offline,  # the embedded server has one voice a language
            )
            language = gr.Dropdown(
                choices=[AS_SET], value=AS_SET, label=label("wish_language"), elem_id="wish-language"
            )
            pace = gr.Dropdown(
                choices=[Pace.BALANCED.value], value=Pace.BALANCED.value, label=label("wish_pace"), elem_id="wish-pace"
            )
        with gr.Row():
            noise = gr.Dropdown(choices=[AS_SET], value=AS_SET, label=label("wish_noise"), elem_id="wish-noise")
            speed = gr.Slider(
                0.5, 1.5, value=settings.speed, step=0.05, label=label("wish_speed"), elem_id="wish-speed"
            )
            cap = gr.Number(
                value=0, minimum=0, precision=2, label=label("wish_cost"), elem_id="wish-cost", visible=not offline
            )
        preset = gr.Dropdown(choices=[AS_SET], value=AS_SET, label=label("wish_preset"), elem_id="wish-preset")
        words = gr.Textbox(
            label=label("wish_words"), lines=2, max_length=MOST_INSTRUCTIONS, visible=False, elem_id="wish-words"
        )
        said = gr.Markdown(label("wishes_note"), elem_id="wishes-status")
    fields = [model, voice, language, preset, words, pace, noise, speed, cap]

    def choices(table: dict[str, tuple[str, str]], where: Locale) -> list[tuple[str, str]]:
        return [(pick(names, where), value) for value, names in table.items()]

    def on_begin(where: Locale) -> list[Any]:
        presets = [(pick(words[:2], where), name) for name, words in PRESETS.items()]
        first, *others = [(sentence(WISHES, "as_set", where), AS_SET), (sentence(WISHES, "own_words", where), OWN)]
        return [
            gr.Dropdown(choices=[first, *((name, name) for name in models)]),
            gr.Dropdown(choices=[first, *((name, name) for name in VOICES)]),
            gr.Dropdown(choices=[first, *choices(LANGUAGES, where)]),
            gr.Dropdown(choices=choices(PACES, where)),
            gr.Dropdown(choices=[first, *choices(NOISES, where)]),
            gr.Dropdown(choices=[first, *presets, *others]),
        ]

    async def on_change(who: Visitor, where: Locale, *values: Any) -> tuple[str, Any]:
        when = await who.wish(wishes_of(*values))
        denied = who.wishes.model and not who.own_key and who.wishes.model not in settings.models
        return sentence(WISHES, "model_needs_key" if denied else when, where), gr.Textbox(visible=values[3] == OWN)

    begin.then(on_begin, locale, [model, voice, language, pace, noise, preset], show_progress="hidden", api_name=False)
    gr.on(
        [
            model.input,
            voice.input,
            language.input,
            preset.input,
            words.blur,
            pace.input,
            noise.input,
            speed.release,
            cap.blur,
        ],
        on_change,
        [visitor, locale, *fields],
        [said, words],
        show_progress="hidden",
        concurrency_limit=None,
        trigger_mode="always_last",
        api_name=False,
    )
