"""Call settings drawer: the visitor's preferences. Changes are applied at once where the protocol allows it.

The drawer shows when each change takes effect.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.events import Dependency

from voicechat.config.call_preferences import MAX_INSTRUCTIONS_CHARS, CallPreferences, EndpointingSpeed
from voicechat.config.settings import Language, NoiseReduction, Settings
from voicechat.limits.pricing import PRICES
from voicechat.protocol.endpoint import ServerKind
from voicechat.session.visitor import Visitor
from voicechat.ui.i18n import (
    ENDPOINTING_SPEEDS,
    LANGUAGES,
    NOISE_REDUCTIONS,
    PREFERENCE_MESSAGES,
    PRESETS,
    Locale,
    get_message,
    label,
    localize,
)

VOICES = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")
"""Voices of OpenAI (2026-11). Other servers have other voices, so the field accepts any name."""
MAX_NAME_CHARS = 100
"""Characters of a model's or a voice's name."""
DEFAULT_CHOICE = ""
"""Value of the choice "Default": as the operator configured it."""
CUSTOM_PRESET = "own"
"""Value of the choice "Custom": the visitor types the instructions."""


def parse_preferences(
    model: Any,
    voice: Any,
    language: Any,
    preset: Any,
    custom_instructions: Any,
    endpointing_speed: Any,
    noise: Any,
    speed: Any,
    cost_cap: Any,
) -> CallPreferences:
    """Return the preferences in the drawer's fields. Values outside the choices count as not chosen."""
    instructions = (
        PRESETS[preset][2]
        if preset in PRESETS
        else str(custom_instructions or "").strip()
        if preset == CUSTOM_PRESET
        else ""
    )
    return CallPreferences(
        model=str(model or "").strip()[:MAX_NAME_CHARS],
        voice=str(voice or "").strip()[:MAX_NAME_CHARS],
        language=Language(language) if language in set(Language) else None,
        instructions=instructions[:MAX_INSTRUCTIONS_CHARS],
        endpointing_speed=EndpointingSpeed(endpointing_speed)
        if endpointing_speed in set(EndpointingSpeed)
        else EndpointingSpeed.BALANCED,
        noise_reduction=NoiseReduction(noise) if noise in set(NoiseReduction) else None,
        speed=float(speed) if isinstance(speed, int | float) else None,
        max_cost_usd=max(0.0, float(cost_cap)) if isinstance(cost_cap, int | float) else 0.0,
    )


def offered_models(settings: Settings) -> list[str]:
    """Return the models to offer: the operator's, plus all known OpenAI models where own keys are allowed."""
    known = list(PRICES.models) if settings.allow_own_key and settings.server_kind is ServerKind.OPENAI else []
    return list(dict.fromkeys([*settings.models, *known]))


def build(settings: Settings, visitor: gr.State, locale: gr.State, load_event: Dependency) -> None:
    """Lay out and wire the drawer in the current Blocks. `locale` is known after `load_event`."""
    offline = settings.server_kind is ServerKind.OFFLINE
    models = offered_models(settings)
    with gr.Accordion(label("wishes_title"), open=False, elem_id="wishes"):
        with gr.Row():
            model = gr.Dropdown(
                choices=[DEFAULT_CHOICE, *models],
                value=DEFAULT_CHOICE,
                allow_custom_value=settings.allow_own_key,
                label=label("wish_model"),
                elem_id="wish-model",
                visible=not offline and bool(models),
            )
            voice = gr.Dropdown(
                choices=[DEFAULT_CHOICE, *VOICES],
                value=DEFAULT_CHOICE,
                allow_custom_value=True,
                label=label("wish_voice"),
                elem_id="wish-voice",
                visible=not offline,  # the embedded server has one voice per language
            )
            language = gr.Dropdown(
                choices=[DEFAULT_CHOICE], value=DEFAULT_CHOICE, label=label("wish_language"), elem_id="wish-language"
            )
            pace = gr.Dropdown(
                choices=[EndpointingSpeed.BALANCED.value],
                value=EndpointingSpeed.BALANCED.value,
                label=label("wish_pace"),
                elem_id="wish-pace",
            )
        with gr.Row():
            noise = gr.Dropdown(
                choices=[DEFAULT_CHOICE], value=DEFAULT_CHOICE, label=label("wish_noise"), elem_id="wish-noise"
            )
            speed = gr.Slider(
                0.5, 1.5, value=settings.speed, step=0.05, label=label("wish_speed"), elem_id="wish-speed"
            )
            cap = gr.Number(
                value=0, minimum=0, precision=2, label=label("wish_cost"), elem_id="wish-cost", visible=not offline
            )
        preset = gr.Dropdown(
            choices=[DEFAULT_CHOICE], value=DEFAULT_CHOICE, label=label("wish_preset"), elem_id="wish-preset"
        )
        words = gr.Textbox(
            label=label("wish_words"), lines=2, max_length=MAX_INSTRUCTIONS_CHARS, visible=False, elem_id="wish-words"
        )
        status = gr.Markdown(label("wishes_note"), elem_id="wishes-status")
    fields = [model, voice, language, preset, words, pace, noise, speed, cap]

    def localized_choices(table: dict[str, tuple[str, str]], user_locale: Locale) -> list[tuple[str, str]]:
        return [(localize(names, user_locale), value) for value, names in table.items()]

    def on_load(user_locale: Locale) -> list[Any]:
        presets = [(localize(texts[:2], user_locale), name) for name, texts in PRESETS.items()]
        default = (get_message(PREFERENCE_MESSAGES, "as_set", user_locale), DEFAULT_CHOICE)
        custom = (get_message(PREFERENCE_MESSAGES, "own_words", user_locale), CUSTOM_PRESET)
        return [
            gr.Dropdown(choices=[default, *((name, name) for name in models)]),
            gr.Dropdown(choices=[default, *((name, name) for name in VOICES)]),
            gr.Dropdown(choices=[default, *localized_choices(LANGUAGES, user_locale)]),
            gr.Dropdown(choices=localized_choices(ENDPOINTING_SPEEDS, user_locale)),
            gr.Dropdown(choices=[default, *localized_choices(NOISE_REDUCTIONS, user_locale)]),
            gr.Dropdown(choices=[default, *presets, custom]),
        ]

    async def on_change(session_visitor: Visitor, user_locale: Locale, *values: Any) -> tuple[str, Any]:
        when = await session_visitor.set_preferences(parse_preferences(*values))
        chosen_model = session_visitor.preferences.model
        needs_key = chosen_model and not session_visitor.own_key and chosen_model not in settings.models
        message = get_message(PREFERENCE_MESSAGES, "model_needs_key" if needs_key else when, user_locale)
        return message, gr.Textbox(visible=values[3] == CUSTOM_PRESET)

    load_event.then(
        on_load, locale, [model, voice, language, pace, noise, preset], show_progress="hidden", api_name=False
    )
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
        [status, words],
        show_progress="hidden",
        concurrency_limit=None,
        trigger_mode="always_last",
        api_name=False,
    )
