"""Password login: cookies and the limits of attempts."""

from __future__ import annotations

from tests.support.manual_clock import ManualClock
from voicechat.security.auth.password_attempts import (
    MAX_TRACKED_VISITORS,
    TOTAL_ATTEMPT_BURST,
    TOTAL_ATTEMPT_REFILL_S,
    VISITOR_ATTEMPT_BURST,
    VISITOR_ATTEMPT_REFILL_S,
    LocalPasswordAttempts,
)
from voicechat.security.auth.password_login import PasswordLogin


def test_cookie_is_valid_for_its_password_only() -> None:
    cookie = PasswordLogin("correct horse").issue_cookie()
    assert PasswordLogin("correct horse").is_valid_cookie(cookie)  # also after a restart
    assert not PasswordLogin("another horse").is_valid_cookie(cookie)
    for forged in ("", "passed", cookie[:-1], cookie + "x", cookie.replace("passed", "Passed")):
        assert not PasswordLogin("correct horse").is_valid_cookie(forged)
    assert "horse" not in cookie


async def test_attempts_are_limited_per_visitor() -> None:
    clock = ManualClock(0.0)
    password = PasswordLogin("correct horse", LocalPasswordAttempts(clock))
    assert [await password.check_password("wrong", "a") for _ in range(VISITOR_ATTEMPT_BURST + 2)] == [
        False
    ] * VISITOR_ATTEMPT_BURST + [None, None]
    assert await password.check_password("correct horse", "a") is None  # not checked
    assert await password.check_password("correct horse", "b") is True
    clock.now += VISITOR_ATTEMPT_REFILL_S
    assert await password.check_password("wrong", "a") is False
    assert await password.check_password("correct horse", "a") is None
    clock.now += VISITOR_ATTEMPT_REFILL_S
    assert await password.check_password("correct horse", "a") is True


async def test_correct_password_is_not_counted() -> None:
    password = PasswordLogin("correct horse", LocalPasswordAttempts(ManualClock(0.0)))
    for _ in range(2 * TOTAL_ATTEMPT_BURST):
        assert await password.check_password("correct horse", "a") is True
    wrong = [await password.check_password("wrong", "a") for _ in range(VISITOR_ATTEMPT_BURST + 1)]
    assert wrong == [False] * VISITOR_ATTEMPT_BURST + [None]


async def test_attempts_are_limited_in_total_and_a_visitor_still_logs_in() -> None:
    clock = ManualClock(0.0)
    password = PasswordLogin("correct horse", LocalPasswordAttempts(clock))
    answers = [
        await password.check_password("wrong", f"attacker {number}") for number in range(TOTAL_ATTEMPT_BURST + 3)
    ]
    assert answers == [False] * TOTAL_ATTEMPT_BURST + [None] * 3
    assert await password.check_password("correct horse", "visitor") is None
    clock.now += TOTAL_ATTEMPT_REFILL_S
    assert await password.check_password("correct horse", "visitor") is True


async def test_tracked_visitors_are_bounded() -> None:
    clock = ManualClock(0.0)
    attempts = LocalPasswordAttempts(clock)
    for number in range(MAX_TRACKED_VISITORS + 5):
        clock.now += TOTAL_ATTEMPT_REFILL_S
        await attempts.take(str(number))
    assert attempts.visitor_count == MAX_TRACKED_VISITORS
