"""Sight of servers: which take pictures, and which errors refuse one."""

from __future__ import annotations

import pytest

from voicechat.config.settings import Settings
from voicechat.pictures.server_sight import (
    PictureSupport,
    Sight,
    is_picture_error,
    is_refusal_of_all_pictures,
    sight_of,
)
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.ui.widgets.pictures import picture_settings_script


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        (Endpoint(ServerKind.OPENAI, "wss://api.openai.com/v1/realtime", model="gpt-realtime-2.1-mini"), Sight.SEES),
        (Endpoint(ServerKind.OPENAI, "wss://api.openai.com/v1/realtime", model="gpt-live-1"), Sight.BLIND),
        (Endpoint(ServerKind.CUSTOM, "wss://x.openai.azure.com/openai/v1/realtime"), Sight.SEES),
        (Endpoint(ServerKind.CUSTOM, "wss://api.x.ai/v1/realtime"), Sight.SEES),
        (Endpoint(ServerKind.CUSTOM, "wss://notx.ai/v1/realtime"), Sight.UNKNOWN),
        (Endpoint(ServerKind.CUSTOM, "ws://127.0.0.1:8080/v1/realtime"), Sight.UNKNOWN),
        (Endpoint(ServerKind.OFFLINE, "ws://127.0.0.1:8080/v1/realtime"), Sight.BLIND),
        (Endpoint(ServerKind.OFFLINE, "ws://127.0.0.1:8080/v1/realtime", services="network"), Sight.UNKNOWN),
    ],
)
def test_sight_is_known_by_kind_host_and_model(endpoint: Endpoint, expected: Sight) -> None:
    assert sight_of(endpoint) is expected


def test_refusal_is_remembered_for_the_next_connection() -> None:
    endpoint = Endpoint(ServerKind.CUSTOM, "ws://127.0.0.1:8080/v1/realtime")
    support = PictureSupport(endpoint)
    assert support.takes_pictures
    support.note_refusal()
    assert not PictureSupport(endpoint).takes_pictures
    assert sight_of(endpoint) is Sight.BLIND


@pytest.mark.parametrize(
    ("event_id", "error", "expected"),
    [
        ("look_3", {}, True),
        ("say_3", {"message": "no image"}, False),
        ("", {"param": "item.content[1].image_url"}, True),
        ("", {"message": "Unsupported content type 'input_image'"}, True),
        ("", {"message": "Something else failed"}, False),
    ],
)
def test_error_about_a_picture_is_recognized(event_id: str, error: dict[str, str], expected: bool) -> None:
    assert is_picture_error(event_id, error) is expected


def test_unfit_picture_says_nothing_of_others() -> None:
    assert not is_refusal_of_all_pictures({"message": "The image is too large."})
    assert is_refusal_of_all_pictures({"message": "The models of this server cannot see images."})


@pytest.mark.parametrize(
    ("variables", "is_blind"),
    [
        ({}, True),
        ({"OFFLINE_URL": "ws://10.0.0.5:8765"}, True),
        ({"STT_URL": "http://10.0.0.5"}, True),
        ({"LLM_URL": "http://127.0.0.1:11434"}, False),
        ({"OFFLINE_URL": "ws://10.0.0.5:8765", "LLM_URL": "http://10.0.0.6"}, False),
        ({"OPENAI_API_KEY": "sk-operator"}, False),
    ],
)
def test_embedded_server_sees_only_with_a_language_model_at_an_address(
    variables: dict[str, str], is_blind: bool
) -> None:
    settings = Settings.from_env(variables)
    assert (sight_of(settings.endpoint("ws://127.0.0.1:1")) is Sight.BLIND) == is_blind
    assert f'"embeddedServerIsBlind": {str(is_blind).lower()}' in picture_settings_script(settings)
