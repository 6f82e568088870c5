"""Password login: cookies and the limits of attempts."""

from __future__ import annotations

from tests.support.manual_clock import ManualClock
from voicechat.security.auth.password_login import (
    ADDRESS_ATTEMPT_BURST,
    ADDRESS_ATTEMPT_REFILL_S,
    MAX_TRACKED_ADDRESSES,
    TOTAL_ATTEMPT_BURST,
    TOTAL_ATTEMPT_REFILL_S,
    PasswordLogin,
)


def test_cookie_is_valid_for_its_password_only() -> None:
    cookie = PasswordLogin("correct horse").issue_cookie()
    assert PasswordLogin("correct horse").is_valid_cookie(cookie)  # also after a restart
    assert not PasswordLogin("another horse").is_valid_cookie(cookie)
    for forged in ("", "passed", cookie[:-1], cookie + "x", cookie.replace("passed", "Passed")):
        assert not PasswordLogin("correct horse").is_valid_cookie(forged)
    assert "horse" not in cookie


def test_attempts_are_limited_per_address() -> None:
    clock = ManualClock(0.0)
    password = PasswordLogin("correct horse", clock)
    assert [password.check_password("wrong", "a") for _ in range(ADDRESS_ATTEMPT_BURST + 2)] == [
        False
    ] * ADDRESS_ATTEMPT_BURST + [None, None]
    assert password.check_password("correct horse", "a") is None  # not checked
    assert password.check_password("correct horse", "b") is True
    clock.now += ADDRESS_ATTEMPT_REFILL_S
    assert password.check_password("wrong", "a") is False
    assert password.check_password("correct horse", "a") is None
    clock.now += ADDRESS_ATTEMPT_REFILL_S
    assert password.check_password("correct horse", "a") is True


def test_attempts_are_limited_in_total_and_a_visitor_still_logs_in() -> None:
    clock = ManualClock(0.0)
    password = PasswordLogin("correct horse", clock)
    answers = [password.check_password("wrong", f"attacker {number}") for number in range(TOTAL_ATTEMPT_BURST + 3)]
    assert answers == [False] * TOTAL_ATTEMPT_BURST + [None] * 3
    assert password.check_password("correct horse", "visitor") is None
    clock.now += TOTAL_ATTEMPT_REFILL_S
    assert password.check_password("correct horse", "visitor") is True


def test_tracked_addresses_are_bounded() -> None:
    clock = ManualClock(0.0)
    password = PasswordLogin("correct horse", clock)
    for number in range(MAX_TRACKED_ADDRESSES + 5):
        clock.now += TOTAL_ATTEMPT_REFILL_S
        password.check_password("wrong", str(number))
    assert len(password._address_attempts) == MAX_TRACKED_ADDRESSES
