"""Failures: tables of what servers send at the end of a connection, and generated ends.

The reasons and bodies are those of real servers, or of the libraries that they are built with.
"""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.protocol.failures import (
    FATAL,
    OWN_KEY_VARIANTS,
    QUOTES_SERVER,
    RETRYABLE,
    Failure,
    failure_of_close,
    failure_of_error,
    failure_of_status,
    for_own_key,
    loggable_code,
)

KEY_WORD = re.compile(r"key|auth|token|credential|jwt|bearer", re.IGNORECASE)
"""Any word with which a server can blame a key."""

CLOSES = [
    # capacity: waiting helps
    (1008, "Only one client allowed!", Failure.SERVER_FULL),
    (1008, "All pipeline units in use", Failure.SERVER_FULL),
    (1008, "Session limit reached, try again later", Failure.SERVER_FULL),
    (1008, "Too many concurrent connections for this API key", Failure.SERVER_FULL),
    (1008, "Rate limit exceeded: 10 tokens per second", Failure.SERVER_FULL),
    (1008, "Maximum number of connections reached for this API key", Failure.SERVER_FULL),
    (1008, "A client is already connected", Failure.SERVER_FULL),
    (1008, "No available workers", Failure.SERVER_FULL),
    (4029, "server overloaded", Failure.SERVER_FULL),
    (1008, "No worker", Failure.SERVER_FULL),
    (4000, "Down for maintenance", Failure.SERVER_FULL),
    (1008, "Quota exceeded for requests per minute", Failure.SERVER_FULL),
    (1013, "", Failure.SERVER_FULL),
    (1013, "Come back later", Failure.SERVER_FULL),
    # nothing was said for a while: a new connection helps
    (1008, "inactive", Failure.INACTIVE),
    (1008, "Connection closed due to inactivity", Failure.INACTIVE),
    (1000, "Idle time limit reached", Failure.INACTIVE),
    (4408, "No audio received for 60 seconds", Failure.INACTIVE),
    # the server's own limit of time
    (1001, "Your session hit the maximum duration of 60 minutes.", Failure.EXPIRED),
    (1008, "The session has reached its maximum time limit", Failure.EXPIRED),
    (4000, "session_expired", Failure.EXPIRED),
    # region, permission, model, money: only people can help
    (1008, "Country, region, or territory not supported", Failure.REGION),
    (1008, "unsupported_country_region_territory", Failure.REGION),
    (1008, "User location is not supported for the API use.", Failure.REGION),
    (1008, "Forbidden", Failure.FORBIDDEN),
    (1008, "Your account is inactive", Failure.FORBIDDEN),
    (3003, "", Failure.FORBIDDEN),
    (4003, "Permission denied on resource project", Failure.FORBIDDEN),
    (1008, "models/some is not found for API version v1, or is not supported", Failure.MODEL_NOT_FOUND),
    (1008, "You do not have access to this model", Failure.MODEL_NOT_FOUND),
    (4004, "", Failure.MODEL_NOT_FOUND),
    (1011, "You exceeded your current quota, please check your plan and billing details.", Failure.QUOTA),
    (1000, "insufficient_quota.credit_balance_exhausted", Failure.QUOTA),
    # the key, when the server blames it
    (3000, "", Failure.WRONG_KEY),
    (3000, "invalid_request_error.invalid_api_key", Failure.WRONG_KEY),
    (1008, "API key not valid. Please pass a valid API key.", Failure.WRONG_KEY),
    (1008, "Invalid token. Try again later.", Failure.WRONG_KEY),
    (1008, "Unauthorized", Failure.WRONG_KEY),
    (1008, "authentication failed", Failure.WRONG_KEY),
    (4401, "Missing or expired token", Failure.WRONG_KEY),
    (1007, "API key expired. Please renew the API key.", Failure.WRONG_KEY),
    (1008, "Invalid API key: ab***yz", Failure.WRONG_KEY),
    (1008, "Invalid key.", Failure.WRONG_KEY),
    (1008, "This key has expired", Failure.WRONG_KEY),
    (1008, "The key is not valid", Failure.WRONG_KEY),
    (1008, "The provided key was revoked", Failure.WRONG_KEY),
    (1008, "Your key is disabled", Failure.WRONG_KEY),
    (1008, "Authentication required", Failure.WRONG_KEY),
    (1008, "Authentication error", Failure.WRONG_KEY),
    (1008, "Failed to authenticate", Failure.WRONG_KEY),
    # the key is mentioned and not blamed, or another kind of key or token is meant
    (1008, "API key quota exceeded", Failure.QUOTA),
    (1008, "Quota exceeded for this API key", Failure.QUOTA),
    (1008, "missing required key: model", Failure.REFUSED),
    (1008, "unknown key 'foo' in session", Failure.REFUSED),
    (1008, "Invalid JSON: the key 'foo' is missing", Failure.REFUSED),
    (1008, "The key: required", Failure.REFUSED),
    (1008, "Invalid token count", Failure.REFUSED),
    (1008, "Invalid token in JSON at position 7", Failure.REFUSED),
    (1008, "Prompt token count exceeds the maximum", Failure.REFUSED),
    (1008, "Authentication service unavailable", Failure.SERVER_ERROR),
    (1008, "Authentication timed out", Failure.LOST),
    # settings
    (4000, "", Failure.REFUSED_SETTINGS),
    (4000, "invalid_request_error.beta_api_shape_disabled", Failure.REFUSED_SETTINGS),
    # a policy that this app does not know
    (1008, "", Failure.REFUSED),
    (1008, "Content policy violation", Failure.REFUSED),
    (1008, "Prompt token count is too high", Failure.REFUSED),
    (1008, "Operation is not implemented, or supported, or enabled.", Failure.REFUSED),
    # a server's own close codes
    (4400, "", Failure.CLOSED),
    (4400, "Workspace is being moved", Failure.CLOSED),
    (3999, "Bye", Failure.CLOSED),
    (4000, "Workspace is being moved", Failure.CLOSED),
    # the network, and servers that restart
    (None, "", Failure.LOST),
    (1000, "", Failure.LOST),
    (1001, "Server is shutting down, try again later", Failure.LOST),
    (1006, "", Failure.LOST),
    (1011, "Internal error", Failure.LOST),
    (1011, "keepalive ping timeout", Failure.LOST),
    (1012, "service restart", Failure.LOST),
    (1008, "Keepalive ping failed", Failure.LOST),
    (4000, "Connection timed out", Failure.LOST),
    (4408, "timeout", Failure.LOST),
]


@pytest.mark.parametrize(("code", "reason", "failure"), CLOSES)
def test_failure_of_close_table(code: int | None, reason: str, failure: Failure) -> None:
    assert failure_of_close(code, reason) is failure


REGION_BODY = {
    "error": {
        "code": "unsupported_country_region_territory",
        "message": "Country, region, or territory not supported",
        "type": "request_forbidden",
    }
}
STATUSES = [
    (401, b"", Failure.WRONG_KEY),
    (401, "<html>Sign in</html>", Failure.WRONG_KEY),
    (401, {"error": {"code": "ip_not_authorized"}}, Failure.FORBIDDEN),
    (403, b"", Failure.FORBIDDEN),
    (403, "<html><script>var token='x', apiKey;</script>Attention required</html>", Failure.FORBIDDEN),
    (403, REGION_BODY, Failure.REGION),
    (403, {"error": {"code": "invalid_api_key"}}, Failure.WRONG_KEY),
    (403, "Invalid API key", Failure.WRONG_KEY),
    (
        403,
        {"error": {"code": "403", "message": "Access denied due to Virtual Network/Firewall rules."}},
        Failure.FORBIDDEN,
    ),
    (403, {"error": "Your team does not have any credits yet."}, Failure.QUOTA),
    (403, {"error": {"message": "Project does not have access to model gpt-x"}}, Failure.MODEL_NOT_FOUND),
    (403, {"detail": "All pipeline units in use"}, Failure.SERVER_FULL),
    (400, {"code": "Client error", "error": "Incorrect API key provided: xx***xx."}, Failure.WRONG_KEY),
    (400, {"error": {"code": "invalid_model"}}, Failure.MODEL_NOT_FOUND),
    (400, b"", Failure.WRONG_ADDRESS),
    (400, {"detail": "Field required: key"}, Failure.WRONG_ADDRESS),
    (400, {"error": {"message": "missing required key: model"}}, Failure.WRONG_ADDRESS),
    (400, {"error": "Upstream request timed out"}, Failure.UNREACHABLE),
    (403, {"error": "Quota exceeded for this API key"}, Failure.QUOTA),
    (403, "Maximum number of connections reached for this API key", Failure.SERVER_FULL),
    (402, b"", Failure.QUOTA),
    (404, b"", Failure.WRONG_ADDRESS),
    (404, "<html><head><title>404 model not found</title></head></html>", Failure.WRONG_ADDRESS),
    (404, {"detail": "Not Found"}, Failure.WRONG_ADDRESS),
    (
        404,
        {"error": {"code": "DeploymentNotFound", "message": "The API deployment does not exist."}},
        Failure.MODEL_NOT_FOUND,
    ),
    (404, {"error": {"code": 404, "message": "The model `m` does not exist."}}, Failure.MODEL_NOT_FOUND),
    (407, b"", Failure.UNREACHABLE),
    (408, b"", Failure.UNREACHABLE),
    (426, b"", Failure.WRONG_ADDRESS),
    (429, b"", Failure.SERVER_FULL),
    (429, {"error": {"code": "insufficient_quota"}}, Failure.QUOTA),
    (451, b"", Failure.REGION),
    (500, b"", Failure.SERVER_ERROR),
    (502, "<html>Bad gateway</html>", Failure.SERVER_ERROR),
    (503, b"", Failure.SERVER_FULL),
    (503, "<html>no api key, unauthorized</html>", Failure.SERVER_FULL),
    (504, {"message": "no api key, unauthorized"}, Failure.SERVER_ERROR),
    (200, b"", Failure.WRONG_ADDRESS),
    (302, b"", Failure.WRONG_ADDRESS),
]


@pytest.mark.parametrize(("status", "body", "failure"), STATUSES, ids=str)
def test_failure_of_status_table(status: int, body: object, failure: Failure) -> None:
    sent = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    assert failure_of_status(status, sent) is failure


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ({"code": "unsupported_country_region_territory"}, Failure.REGION),
        ({"code": None, "type": "session_limit_reached"}, Failure.SERVER_FULL),
        ({"code": None, "type": "invalid_request_error", "message": "Invalid API key"}, Failure.WRONG_KEY),
        ({"code": "x", "message": "Country, region, or territory not supported"}, Failure.REGION),
        ({"code": "x", "message": "unknown"}, Failure.REFUSED),
    ],
    ids=str,
)
def test_error_before_an_unexplained_refusal_explains_it(error: dict[str, object], failure: Failure) -> None:
    assert failure_of_close(1008, "", error) is failure


def test_message_of_a_survived_error_does_not_explain_a_lost_connection() -> None:
    """A harmless error may hold any word, and the connection is lost an hour later."""
    error = {"code": "invalid_value", "message": "Invalid token count in the model's quota"}
    for code in (None, 1000, 1001, 1006, 1011, 1012):
        assert failure_of_close(code, "", error) is Failure.LOST


def test_close_reason_precedes_the_error_before_it() -> None:
    error = {"code": "server_error"}
    assert failure_of_close(4000, "insufficient_quota.credit_balance_exhausted", error) is Failure.QUOTA
    assert failure_of_close(1008, "whatever", error) is Failure.SERVER_ERROR


def test_failure_of_error_ignores_errors_within_a_session() -> None:
    for code in ("invalid_value", "item_not_found", "conversation_already_has_active_response", None):
        assert failure_of_error({"code": code, "message": "Invalid API key"}) is None
    for odd in (None, "text", 7, [], {"code": 7}):
        assert failure_of_error(odd) is None


def test_own_key_variants_concern_the_visitor() -> None:
    assert for_own_key(Failure.WRONG_KEY) is Failure.WRONG_OWN_KEY
    assert for_own_key(Failure.FORBIDDEN) is Failure.FORBIDDEN_OWN_KEY
    assert for_own_key(Failure.MODEL_NOT_FOUND) is Failure.MODEL_NOT_FOUND_OWN_KEY
    assert for_own_key(Failure.QUOTA) is Failure.QUOTA_OWN_KEY
    assert for_own_key(Failure.REFUSED) is Failure.REFUSED_OWN_KEY
    for failure in Failure:
        assert for_own_key(for_own_key(failure)) is for_own_key(failure)
    assert not set(OWN_KEY_VARIANTS.values()) & RETRYABLE


def test_only_what_may_heal_is_retried() -> None:
    assert {Failure.SERVER_FULL, Failure.INACTIVE, Failure.CLOSED} <= RETRYABLE
    assert not {Failure.REGION, Failure.FORBIDDEN, Failure.REFUSED, Failure.UNTRUSTED_CERTIFICATE} & RETRYABLE
    assert {Failure.EXPIRED} == FATAL & RETRYABLE
    assert {Failure.REFUSED, Failure.REFUSED_OWN_KEY, Failure.CLOSED} == QUOTES_SERVER


# ---------------------------------------------------------------- generated ends

CODES = st.one_of(st.none(), st.integers(1000, 4999))
REASONS = st.one_of(
    st.text(max_size=123),
    st.lists(
        st.sampled_from(
            [
                "only",
                "one",
                "client",
                "allowed",
                "in",
                "use",
                "inactive",
                "region",
                "not",
                "supported",
                "model",
                "limit",
                "policy",
                "quota",
            ]
        ),
        max_size=12,
    ).map(" ".join),
)
BODIES = st.one_of(
    st.binary(max_size=300),
    REASONS.map(str.encode),
    REASONS.map(lambda text: json.dumps({"error": {"message": text, "code": text[:9]}}).encode()),
    REASONS.map(lambda text: json.dumps({"detail": text, "error": text}).encode()),
    REASONS.map(lambda text: f"<html><body>{text}</body></html>".encode()),
)


@given(CODES, REASONS)
def test_no_close_without_a_word_about_the_key_blames_the_key(code: int | None, reason: str) -> None:
    failure = failure_of_close(code, reason)
    assert isinstance(failure, Failure)
    if code != 3000 and not KEY_WORD.search(reason):  # 3000 is registered as "Unauthorized"
        assert failure is not Failure.WRONG_KEY


@given(st.integers(100, 599), BODIES)
def test_no_status_without_a_word_about_the_key_blames_the_key(status: int, body: bytes) -> None:
    failure = failure_of_status(status, body)
    assert isinstance(failure, Failure)
    if status != 401 and not KEY_WORD.search(body.decode("utf-8", "replace")):
        assert failure is not Failure.WRONG_KEY


def test_every_close_code_and_status_has_a_failure() -> None:
    for code in range(1000, 5000):
        assert (failure_of_close(code, "") is Failure.WRONG_KEY) is (code == 3000)
    for status in range(100, 600):
        for body in (b"", b"no JSON", b"<html></html>", b"[" * 100_000, b"7", b'{"error":7}', b'{"error":{"code":[]}}'):
            assert (failure_of_status(status, body) is Failure.WRONG_KEY) is (status == 401)


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner)))
def test_any_error_object_is_classified(error: object) -> None:
    assert failure_of_error(error) is None or isinstance(failure_of_error(error), Failure)
    assert isinstance(failure_of_close(1008, "", error), Failure)


@given(st.text(max_size=123))
def test_loggable_code_shows_identifiers_only(text: str) -> None:
    shown = loggable_code(text)
    assert shown == "(not shown)" or re.fullmatch(r"[a-z_.]{1,80}", shown)


def test_loggable_code_hides_an_identifier_that_is_a_secret() -> None:
    assert loggable_code("policy_violation", ["correcthorse"]) == "policy_violation"
    assert loggable_code("bad.correcthorse", ["correcthorse"]) == "(not shown)"
