"""Preferences of the visitor's own calls: voice and model, listening, persona and instructions, spending limit.

Changes are applied at once where the protocol allows it. The panel shows when each change takes effect. The browser
keeps the values for its next visit (settings_panel.js).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

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
    Locale,
    get_message,
    label,
    localize,
)
from voicechat.ui.load_steps import LoadSteps

from .group import group
from .tool_switches import ToolsProvider, no_tools, parse_tool_names, switched_off, tool_choices
from .voice_menu import VoiceMenu, openai_voices

MAX_NAME_CHARS = 100
"""Characters of a model's or a voice's name."""
MAX_KEPT_CHARS = 2 * MAX_INSTRUCTIONS_CHARS + 1000
"""Characters of the values that a browser keeps. A character of the instructions may be escaped."""
KEEP_JS = "(kept) => { window.voicePreferences.keep(kept); return []; }"
MAX_NUMBER = 1e6
MIN_SPEED, MAX_SPEED = 0.5, 1.5
DEFAULT_CHOICE = "default"
"""Value of the choice "Default" of a row of buttons: as the operator configured it."""
DEFAULT_WORDS = frozenset(PREFERENCE_MESSAGES["as_set"])
"""Words of that choice in lists, in all languages. A list that takes any name sends the words that it shows."""


@dataclass(frozen=True, slots=True)
class PreferenceFields:
    """Fields of the panel, in the order of the arguments of `parse_preferences`."""

    model: gr.Dropdown
    voice: gr.Dropdown
    language: gr.Radio
    persona: gr.Radio
    instructions: gr.Textbox
    endpointing_speed: gr.Radio
    noise: gr.Radio
    speed: gr.Slider
    cost_cap: gr.Number
    tools: gr.CheckboxGroup
    """Tools that are on. The preferences hold those that are off, so that a new tool is on."""

    def components(self) -> list[Any]:
        return [getattr(self, name) for name in self.__dataclass_fields__]


def parse_preferences(
    model: Any,
    voice: Any,
    language: Any,
    persona: Any,
    instructions: Any,
    endpointing_speed: Any,
    noise: Any,
    speed: Any,
    cost_cap: Any,
    switched_off_tools: Any = (),
) -> CallPreferences:
    """Return the preferences in the panel's fields. Values outside the choices count as not chosen.

    `persona` only fills the field of the instructions, where the visitor may change them.
    """
    return CallPreferences(
        model=_parse_name(model),
        voice=_parse_name(voice),
        language=Language(language) if language in set(Language) else None,
        instructions=str(instructions or "").strip()[:MAX_INSTRUCTIONS_CHARS],
        persona=str(persona or "")[:MAX_NAME_CHARS],
        endpointing_speed=EndpointingSpeed(endpointing_speed)
        if endpointing_speed in set(EndpointingSpeed)
        else EndpointingSpeed.BALANCED,
        noise_reduction=NoiseReduction(noise) if noise in set(NoiseReduction) else None,
        speed=min(max(float(speed), MIN_SPEED), MAX_SPEED) if isinstance(speed, int | float) else None,
        max_cost_usd=max(0.0, float(cost_cap)) if isinstance(cost_cap, int | float) else 0.0,
        switched_off_tools=parse_tool_names(switched_off_tools),
    )


def _parse_name(value: Any) -> str:
    name = str(value or "").strip()[:MAX_NAME_CHARS]
    return "" if name in DEFAULT_WORDS else name


def parse_kept_preferences(kept: object) -> CallPreferences | None:
    """Return the preferences that a browser has kept: the JSON of the fields' values. None for anything else."""
    if not isinstance(kept, str) or len(kept) > MAX_KEPT_CHARS:
        return None
    try:
        values = json.loads(kept)
    except (ValueError, RecursionError):
        return None
    count = len(PreferenceFields.__dataclass_fields__)
    if not isinstance(values, list) or len(values) not in (count - 1, count):  # versions without tools kept one less
        return None
    if not all(value is None or isinstance(value, str) or _is_number(value) for value in values[: count - 1]):
        return None
    return parse_preferences(*values)


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return -MAX_NUMBER < value < MAX_NUMBER  # false for NaN


def offered_models(settings: Settings) -> list[str]:
    """Return the models to offer: the operator's, plus all known OpenAI models where own keys are allowed."""
    known = list(PRICES.models) if settings.allow_own_key and settings.server_kind is ServerKind.OPENAI else []
    return list(dict.fromkeys([*settings.models, *known]))


def build_groups(
    settings: Settings,
    build_cost_group: Any,
    build_model_note: Callable[[], None],
    build_tools_group: Callable[[], gr.CheckboxGroup],
) -> PreferenceFields:
    """Lay out the groups in the current Blocks.

    `build_cost_group`: lays out the group with the spending limit. `build_model_note`: lays out the note on the models
    of the embedded server. `build_tools_group`: lays out the switches of the tools.
    """
    offline = settings.server_kind is ServerKind.OFFLINE
    models = offered_models(settings)
    with group("voice", is_open=True):
        if offline:
            build_model_note()
        model = gr.Dropdown(
            choices=models,
            value=None,
            allow_custom_value=settings.allow_own_key,
            label=label("wish_model"),
            elem_id="wish-model",
            visible=not offline and bool(models),
        )
        voice = gr.Dropdown(
            choices=[] if offline else openai_voices(),
            value=None,
            allow_custom_value=True,
            label=label("wish_voice"),
            elem_id="wish-voice",
            visible=not offline,  # the embedded server's voices are known when the page loads, see `wire`
        )
        if offline:
            gr.HTML('<p class="note" data-text="offline_voices"></p>', padding=False)
        speed = gr.Slider(
            MIN_SPEED,
            MAX_SPEED,
            value=settings.speed,
            step=0.05,
            label=label("wish_speed"),
            elem_id="wish-speed",
            show_reset_button=False,
        )
    with group("listening"):
        language = gr.Radio(
            choices=[DEFAULT_CHOICE], value=DEFAULT_CHOICE, label=label("wish_language"), elem_id="wish-language"
        )
        pace = gr.Radio(
            choices=[EndpointingSpeed.BALANCED.value],
            value=EndpointingSpeed.BALANCED.value,
            label=label("wish_pace"),
            elem_id="wish-pace",
        )
        noise = gr.Radio(
            choices=[DEFAULT_CHOICE], value=DEFAULT_CHOICE, label=label("wish_noise"), elem_id="wish-noise"
        )
    with group("persona"):
        persona = gr.Radio(
            choices=[each.key for each in settings.personas],
            value=settings.personas[0].key,
            label=label("wish_persona"),
            elem_id="wish-persona",
        )
        instructions = gr.Textbox(
            value=settings.personas[0].instructions,
            label=label("wish_words"),
            placeholder=label("wish_words_placeholder"),
            lines=3,
            max_lines=8,
            max_length=MAX_INSTRUCTIONS_CHARS,
            elem_id="wish-words",
        )
    cap = build_cost_group(not offline)
    tools = build_tools_group()
    return PreferenceFields(model, voice, language, persona, instructions, pace, noise, speed, cap, tools)


def wire(
    fields: PreferenceFields,
    settings: Settings,
    visitor: gr.State,
    locale: gr.State,
    load_steps: LoadSteps,
    voice_menu: VoiceMenu = openai_voices,
    refresh: gr.Button | None = None,
    offered_tools: ToolsProvider = no_tools,
) -> None:
    """Wire the fields in the current Blocks. `locale` is known after the `load_steps`.

    `refresh`: pressed each time that the panel opens, for a voice menu that changes; None for one that does not.
    `offered_tools`: tools of the operator.
    """
    models = offered_models(settings)
    status = gr.HTML(elem_id="wishes-status", padding=False)
    kept = gr.Textbox(visible=False)  # what the browser keeps
    components = fields.components()

    def localized_choices(table: dict[str, tuple[str, str]], user_locale: Locale) -> list[tuple[str, str]]:
        return [(localize(names, user_locale), value) for value, names in table.items()]

    def voice_field(session_visitor: Visitor, user_locale: Locale, **value: str) -> gr.Dropdown:
        as_set = get_message(PREFERENCE_MESSAGES, "as_set", user_locale)
        choices = voice_menu(session_visitor, user_locale)
        return gr.Dropdown(
            choices=[(as_set, as_set), *choices], visible=bool(choices), allow_custom_value=True, **value
        )

    async def on_refresh(session_visitor: Visitor, user_locale: Locale) -> gr.Dropdown:
        return voice_field(session_visitor, user_locale)  # the choice stays

    def first_values(session_visitor: Visitor, user_locale: Locale) -> list[Any]:
        as_set = get_message(PREFERENCE_MESSAGES, "as_set", user_locale)
        default = (as_set, DEFAULT_CHOICE)
        chosen = session_visitor.preferences
        any_language = (get_message(PREFERENCE_MESSAGES, "any_language", user_locale), DEFAULT_CHOICE)
        names = [(localize(each.name, user_locale), each.key) for each in settings.personas]
        is_known = any(each.key == chosen.persona for each in settings.personas)
        persona = chosen.persona if is_known else settings.personas[0].key
        return [
            gr.Dropdown(choices=[as_set, *models], value=chosen.model or as_set),
            voice_field(session_visitor, user_locale, value=chosen.voice or as_set),
            gr.Radio(
                [any_language, *localized_choices(LANGUAGES, user_locale)], value=chosen.language or DEFAULT_CHOICE
            ),
            gr.Radio(names, value=persona),
            chosen.instructions or ("" if chosen.persona else settings.personas[0].instructions),
            gr.Radio(localized_choices(ENDPOINTING_SPEEDS, user_locale), value=chosen.endpointing_speed),
            gr.Radio(
                [default, *localized_choices(NOISE_REDUCTIONS, user_locale)],
                value=chosen.noise_reduction or DEFAULT_CHOICE,
            ),
            settings.speed if chosen.speed is None else chosen.speed,
            chosen.max_cost_usd,
            gr.CheckboxGroup(
                tool_choices(offered_tools(), user_locale),
                value=[name for name in offered_tools() if name not in chosen.switched_off_tools],
            ),
        ]

    async def on_change(session_visitor: Visitor, user_locale: Locale, *shown: Any) -> tuple[str, str]:
        values = [*shown[:-1], switched_off(offered_tools(), shown[-1], session_visitor.preferences)]
        when = await session_visitor.set_preferences(parse_preferences(*values))
        chosen_model = session_visitor.preferences.model
        needs_key = chosen_model and not session_visitor.own_key and chosen_model not in settings.models
        message = get_message(PREFERENCE_MESSAGES, "model_needs_key" if needs_key else when, user_locale)
        return message, json.dumps(values, ensure_ascii=False)

    async def on_persona(session_visitor: Visitor, user_locale: Locale, *values: Any) -> tuple[str, str, str]:
        chosen = next((each for each in settings.personas if each.key == values[3]), settings.personas[0])
        changed = list(values)
        changed[4] = chosen.instructions
        return *await on_change(session_visitor, user_locale, *changed), chosen.instructions

    load_steps.add(first_values, components)
    change: dict[str, Any] = {
        "show_progress": "hidden",
        "concurrency_limit": None,
        "trigger_mode": "always_last",
        "api_name": False,
    }
    gr.on(
        [
            fields.model.input,
            fields.voice.input,
            fields.language.input,
            fields.instructions.blur,
            fields.endpointing_speed.input,
            fields.noise.input,
            fields.speed.release,
            fields.cost_cap.blur,
            fields.tools.input,
        ],
        on_change,
        [visitor, locale, *components],
        [status, kept],
        **change,
    ).then(None, kept, None, js=KEEP_JS, api_name=False)
    if refresh is not None:
        refresh.click(
            on_refresh,
            [visitor, locale],
            fields.voice,
            show_progress="hidden",
            concurrency_limit=None,
            api_name=False,
        )
    fields.persona.input(
        on_persona, [visitor, locale, *components], [status, kept, fields.instructions], **change
    ).then(None, kept, None, js=KEEP_JS, api_name=False)
