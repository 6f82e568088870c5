"""Server's words: what of a close reason may be shown. Canaries in every form are searched for in the result."""

from __future__ import annotations

import base64
import string
import unicodedata
import urllib.parse

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.support.app import canaries
from voicechat.protocol.endpoint import Endpoint, EndpointSecrets, ServerKind
from voicechat.protocol.server_words import HIDDEN, MAX_SERVER_WORDS_CHARS, private_texts_of, scrub_server_words

NO_SECRETS = EndpointSecrets((), ())
ENDPOINT = Endpoint(
    ServerKind.CUSTOM,
    f"wss://{canaries.PROGRAM}@contoso.example/v1/realtime?deployment=acme-voice&api_key={canaries.IN_ADDRESS}",
    {"Authorization": f"Bearer {canaries.OPERATOR}", "api-key": "correct horse battery"},
)


def shown(reason: str, secrets: EndpointSecrets = NO_SECRETS, *prompts: str) -> str:
    return scrub_server_words(reason, secrets, prompts)


@pytest.mark.parametrize(
    "reason",
    [
        "Content policy violation",
        "Operation is not implemented, or supported, or enabled.",
        "This voice isn't available on your plan (60 minutes a day).",
        "Real-time audio is rate-limited; see the HTTP docs!",
        "該地區不支援此服務，請聯絡管理員。",
        "Región no admitida",
        "Запрещено правилами",
        "policy_violation",
    ],
)
def test_plain_words_are_shown_as_they_are(reason: str) -> None:
    assert shown(reason) == reason


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("Policy violation for sk-proj-abcdefghijkl today", f"Policy violation for {HIDDEN} today"),
        ("Not allowed for eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.SflK here", f"Not allowed for {HIDDEN} here"),
        ("Not allowed at https://user:pw@contoso.example/x?key=1 now", f"Not allowed at {HIDDEN} now"),
        ("Not allowed at contoso.openai.azure.com now", f"Not allowed at {HIDDEN} now"),
        ("Blocked address 10.11.12.13 for someone@example.com here", f"Blocked address {HIDDEN} for {HIDDEN} here"),
        ("Closed by org-AbCdEfGh for project proj_abc today", f"Closed by {HIDDEN} for project {HIDDEN} today"),
        ("Closed: deadbeefdeadbeefdeadbeefdeadbeef was refused", f"Closed: {HIDDEN} was refused"),
        ("Closed: 0123456789 was refused", f"Closed: {HIDDEN} was refused"),
        ("Not\r\nallowed\there\x00 at\u2028all", "Not allowed here at all"),
        ("Not \u202eallowed\u202c he\u200bre", "Not allowed here"),
        ("a" * 300, ""),
        ("\x00\x07\u202e", ""),
        ("{}[]<>", ""),
        ("12 34", ""),
        ("sk-proj-abcdefghijkl", ""),
        ("sk-proj-abcdefghijkl ghp_abcdefghijkl no", ""),
        ("", ""),
    ],
)
def test_what_looks_like_a_key_an_address_or_a_control_is_removed(reason: str, expected: str) -> None:
    assert shown(reason) == expected


@pytest.mark.parametrize(
    "reason",
    [
        "The phrase correct horse battery was refused",
        "The phrase CORRECTHORSEBATTERY was refused",
        "The phrase c-o-r-r-e-c-t h-o-r-s-e was refused",
        "The deployment acme voice was refused",
    ],
)
def test_words_that_are_a_secret_of_the_endpoint_are_not_shown(reason: str) -> None:
    assert shown(reason, ENDPOINT.secrets) in ("", f"The phrase {HIDDEN} was refused")


def test_quoted_prompt_withdraws_all() -> None:
    prompt = "You are the kind pirate of the harbour."
    assert shown("Refused: You are the kind pirate.", NO_SECRETS, prompt) == ""
    assert shown("Refused: 'the KIND, pirate of'", NO_SECRETS, prompt) == ""
    assert shown("你的提示違規：你是一位友善的海盜", NO_SECRETS, "你是一位友善的海盜，住在港邊。") == ""
    assert shown("You are not allowed here.", NO_SECRETS, prompt) == "You are not allowed here."


def test_private_texts_of_finds_every_long_text_of_the_settings() -> None:
    session = {
        "instructions": canaries.PROMPT,
        "type": "realtime",
        "audio": {"input": {"transcription": {"prompt": "Acme, Widgetron"}}},
    }
    texts = private_texts_of({"session": session, "event_id": "session_update"})
    assert {canaries.PROMPT, "Acme, Widgetron"} <= set(texts)
    assert "realtime" not in texts


SECRET_WORDS = (canaries.OPERATOR, canaries.VISITOR, canaries.PROGRAM, canaries.IN_ADDRESS, canaries.TURN_TOKEN)


def variants_of(secret: str) -> list[str]:
    raw = secret.encode()
    return [
        secret,
        secret[::-1],
        secret.swapcase(),
        raw.hex(),
        urllib.parse.quote(secret),
        "".join(f"%{byte:02X}" for byte in raw),
        "".join(f"\\u{byte:04x}" for byte in raw),
        "\u200b".join(secret),
        "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in secret),
        *(base64.b64encode(bytes(before) + raw).decode() for before in range(3)),
    ]


@pytest.mark.parametrize("secret", SECRET_WORDS)
def test_canary_in_any_encoding_is_not_shown(secret: str) -> None:
    """Even one that the app does not know to be a secret."""
    for spelling in variants_of(secret):
        for reason in (
            spelling,
            f"Refused for {spelling}.",
            f"Refused ({spelling}) by policy",
            f"拒絕「{spelling}」使用",
        ):
            text = shown(reason)
            assert not any(part in text for part in ("Canary", "yranaC", "cANARY", spelling))
            assert set(text.split()) <= {"Refused", "for", "by", "policy", HIDDEN, f"({HIDDEN})", f"{HIDDEN}."} | {
                f"拒絕「{HIDDEN}」使用"
            }


REASONS = st.one_of(
    st.text(max_size=200),
    st.text(st.characters(categories=["Cc", "Cf", "Zs", "Zl", "Zp", "Ll", "Mn", "Lo"]), max_size=123),
    st.lists(st.sampled_from(["Refused", "for", "policy", "{s}", "{s}{s}", "({s})", "x{s}", "{p}"]), max_size=9).map(
        " ".join
    ),
)
SECRETS = st.text(string.ascii_letters + string.digits + "-_+/= &<", min_size=8, max_size=40)
PROMPTS = st.text(string.ascii_letters + " .,", min_size=12, max_size=60)


def compact(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())


@given(REASONS, SECRETS, PROMPTS)
@example("Refused {s} {p}", "correct horse battery", "You are kind and brief.")
def test_shown_words_are_one_short_line_without_secret_or_prompt(template: str, secret: str, prompt: str) -> None:
    reason = template.replace("{s}", secret).replace("{p}", prompt)
    text = scrub_server_words(reason, EndpointSecrets((secret,), ()), (prompt,))
    assert len(text) <= MAX_SERVER_WORDS_CHARS
    assert not [letter for letter in text if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]
    assert text == text.strip()
    assert secret not in text
    core = compact(secret)
    if len(core) >= 8:
        assert core not in compact(text)
    if len(compact(prompt)) >= 10:
        assert compact(prompt) not in compact(text)


@given(SECRETS, st.data())
def test_part_of_a_credential_is_not_shown(secret: str, data: st.DataObject) -> None:
    """Servers quote the first or the last characters of a key."""
    letters = compact(secret)
    assume(len(letters) >= 6)
    start = data.draw(st.integers(0, len(letters) - 6))
    part = letters[start : start + data.draw(st.integers(6, 40))]
    assert part not in compact(scrub_server_words(f"Refused: {part} is not ours", EndpointSecrets((secret,), ()), ()))


@given(st.text(max_size=200))
def test_scrubbing_twice_changes_nothing(reason: str) -> None:
    once = shown(reason)
    assert shown(once) == once
