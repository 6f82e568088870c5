"""Endpoints: the secrets in them, and host names of this computer."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from voicechat.protocol.endpoint import MIN_SECRET_CHARS, Endpoint, ServerKind, auth_headers

CREDENTIAL_NAMES = ("api_key", "api-key", "apikey", "key", "token", "access_token", "API_KEY", "Token")
OTHER_NAMES = ("model", "deployment", "api-version", "intent", "agent_id", "x")
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\t"), max_size=30) | st.text(
    "abcXYZ019-_", max_size=30
)
PARAMS = st.lists(st.tuples(st.sampled_from(CREDENTIAL_NAMES + OTHER_NAMES), VALUES), max_size=5)
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)


@st.composite
def endpoints(draw: st.DrawFn) -> Endpoint:
    host = draw(st.sampled_from(["server.example", "it.openai.azure.com", "127.0.0.1"]))
    user, password = draw(st.tuples(VALUES, VALUES))
    userinfo = draw(
        st.sampled_from(["", f"{quote(user, safe='')}@", f"{quote(user, safe='')}:{quote(password, safe='')}@"])
    )
    params = draw(PARAMS)
    model = draw(st.sampled_from(["", "gpt-realtime-2", *(value for name, value in params if name == "model")]))
    url = f"wss://{userinfo}{host}/v1/realtime?{urlencode(params, quote_via=quote)}"
    return Endpoint(ServerKind.CUSTOM, url, auth_headers(url, draw(KEYS)), model)


def all_query_values(endpoint: Endpoint) -> set[str]:
    """Every value that stood in an error text as a secret, by the rule that knows no names."""
    parts = urlsplit(endpoint.url)
    found = [value.removeprefix("Bearer ") for value in endpoint.headers.values()]
    found += [value for _, value in parse_qsl(parts.query)] + [parts.password or ""]
    return {value for value in found if len(value) >= MIN_SECRET_CHARS and value != endpoint.model}


def named_credentials(endpoint: Endpoint) -> set[str]:
    """Every value that is a credential by its name or its position."""
    parts = urlsplit(endpoint.url)
    found = [value.removeprefix("Bearer ") for value in endpoint.headers.values()]
    found += [value for name, value in parse_qsl(parts.query) if name.lower() in CREDENTIAL_NAMES]
    return {value for value in [*found, unquote(parts.password or "")] if len(value) >= MIN_SECRET_CHARS}


@given(endpoints())
def test_secrets_of_any_endpoint_miss_no_value_of_either_rule(endpoint: Endpoint) -> None:
    secrets = endpoint.secrets
    assert all_query_values(endpoint) <= set(secrets.all)
    assert named_credentials(endpoint) <= set(secrets.credentials)
    parts = urlsplit(endpoint.url)
    for value in (parts.username, parts.password):
        shown = unquote(value or "")
        assert len(shown) < MIN_SECRET_CHARS or shown in secrets.all or value == endpoint.model
    if parts.username and not parts.password and len(parts.username) >= MIN_SECRET_CHARS:
        assert parts.username in secrets.credentials, "a user without a password is a token"


@given(endpoints())
def test_secrets_of_any_endpoint_hold_no_short_word_and_no_public_model(endpoint: Endpoint) -> None:
    secrets = endpoint.secrets
    assert all(len(value) >= MIN_SECRET_CHARS for value in secrets.all)
    assert endpoint.model not in set(secrets.private_values) - set(secrets.credentials)
    for value in secrets.all:
        if value not in endpoint.host and value != endpoint.model:
            assert value not in repr(endpoint) and value not in repr(secrets)


def test_a_deployment_is_hidden_in_errors_and_not_in_events() -> None:
    url = "wss://it.openai.azure.com/openai/realtime?deployment=my-realtime&api-key=0123456789abcdef"
    secrets = Endpoint(ServerKind.CUSTOM, url).secrets
    assert secrets.credentials == ("0123456789abcdef",)
    assert secrets.private_values == ("my-realtime",)
