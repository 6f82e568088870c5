"""Errors of the server and endings of replies, during a call that goes on: what each means for the reply. Pure."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum

from voicechat.conversation.conversation import Conversation
from voicechat.conversation.incomplete_reason import IncompleteReason, is_interruption, reason_of_ending
from voicechat.protocol.client_events import IGNORABLE_ERROR_PREFIXES, RESPONSE_EVENT_PREFIX
from voicechat.protocol.event_fields import Event, get_string
from voicechat.protocol.failures import FATAL, Failure, failure_of_error, loggable_code
from voicechat.protocol.notices import Notice
from voicechat.protocol.server_events import ResponseDone, ServerError, TranscriptCompleted

from .response_tracker import ResponseTracker
from .user_turn import UserTurnStatus

log = logging.getLogger(__name__)

FALLBACK_NOTICES = {
    "unreachable": Notice.LOCAL_UNREACHABLE,
    "broken_off": Notice.LOCAL_UNREACHABLE,
    "unauthorized": Notice.LOCAL_KEY_REFUSED,
    "no_credit": Notice.LOCAL_NO_CREDIT,
    "rate_limited": Notice.LOCAL_RATE_LIMITED,
    "timeout": Notice.LOCAL_LATE,
    "loading": Notice.LOCAL_LOADING,
    "not_found": Notice.LOCAL_NO_MODEL,
    "not_chosen": Notice.LOCAL_NO_MODEL,
}
"""Notices by the fault of the chat endpoint (`ResponseDone.fallback_fault`). Others are `LOCAL_FAILED`."""
ANSWER_NOTICES: frozenset[str] = frozenset(
    {
        Notice.REPLY_FAILED,
        Notice.REPLY_TOO_LONG,
        Notice.REPLY_OUT_OF_TOKENS,
        Notice.REPLY_FILTERED,
        Notice.REPLY_RATE_LIMITED,
        Notice.REPLY_BROKEN_OFF,
        Notice.REPLY_LOST,
        *FALLBACK_NOTICES.values(),
        Notice.LOCAL_FAILED,
        Notice.LOCAL_RECOGNITION,
        Notice.LOCAL_VOICE,
        *Failure,
    }
)
"""Notices that no longer hold once another answer comes."""


class FallbackNotices:
    """Notices of one call about what the embedded server did in place of its endpoints.

    The language model's is shown after each such reply, the others once in a call.
    """

    def __init__(self) -> None:
        self._recognises_itself = False
        self._shown: set[Notice] = set()

    def note_transcript(self, event: TranscriptCompleted) -> None:
        """Note who recognised a turn. The notice follows the reply, because a transcript comes in the middle."""
        self._recognises_itself = self._recognises_itself or bool(event.endpoint_fault)

    def take(self, event: ResponseDone) -> Notice | None:
        """Return the notice to show after a reply; one that this call has not shown comes first."""
        llm = FALLBACK_NOTICES.get(event.fallback_fault, Notice.LOCAL_FAILED) if event.fallback_fault else None
        parts = {Notice.LOCAL_RECOGNITION: self._recognises_itself, Notice.LOCAL_VOICE: bool(event.speech_fault)}
        due = [llm, *(notice for notice, is_local in parts.items() if is_local)]
        notice = next((each for each in due if each is not None and each not in self._shown), llm)
        if notice is not None:
            self._shown.add(notice)
        return notice


# ---------------------------------------------------------------- endings of replies

ASK_AGAIN_REASONS = frozenset({IncompleteReason.LENGTH_LIMIT, IncompleteReason.OTHER})
"""Reasons for an empty incomplete response after which a second request can bring an answer.

Reasoning takes its tokens from the same limit and varies from one attempt to the next, so the next one may have some
left for words. A content filter reads the same conversation again and decides the same. A failed response is not asked
for again: a server in trouble or out of its rate limit is not helped by more requests.
"""


@dataclass(frozen=True, slots=True)
class ReplyEnding:
    """Ending of a reply that the visitor awaited."""

    reason: IncompleteReason | None
    """Why something is missing; None for a complete, interrupted or given-up reply."""
    notice: Notice | None
    """Message for the visitor."""
    is_whole: bool
    """The whole reply has come."""
    is_silent: bool
    """The reply is complete and empty: right for a noise, and a missing answer to words."""
    can_ask_again: bool
    """The reply is empty, and another request can help."""
    fatal_failure: Failure | None
    """Failure after which the connection cannot be used."""


def judge_ending(
    event: ResponseDone, conversation: Conversation, response_id: str, fallbacks: FallbackNotices, *, given_up: bool
) -> ReplyEnding:
    """Return what a `response.done`, which `conversation` has applied, means.

    `response_id`: "" for a response that the server has not named. `fallbacks`: those of the call, for an ending
    without a notice of its own. `given_up`: the reply is not awaited any more.
    """
    failure = failure_of_error(event.error) if event.status == "failed" else None
    fatal = failure if failure in FATAL else None
    if given_up:
        return ReplyEnding(None, None, is_whole=False, is_silent=False, can_ask_again=False, fatal_failure=fatal)
    # A status that this module does not know says nothing against an item that the server has completed.
    reason = None if conversation.is_reply_whole(response_id) else reason_of_ending(event)
    is_empty = not (conversation.has_reply(response_id) or conversation.has_tool_call(response_id))
    if reason is not None:
        log.warning(
            "call: reply ended early status=%s reason=%s error=%s empty=%s",
            loggable_code(event.status),
            reason.value,
            loggable_code(event.error_code) if event.error else "none",
            is_empty,
        )
    elif is_empty:
        log.warning("call: reply is empty")
    is_interrupted = is_interruption(event)  # whatever interrupts it is reported too, and replaces the notice
    return ReplyEnding(
        reason,
        notice_of_ending(IncompleteReason.OTHER if is_interrupted else reason, event.error, is_empty=is_empty)
        or fallbacks.take(event),
        is_whole=reason is None and not is_empty and not is_interrupted,
        is_silent=reason is None and is_empty and not is_interrupted,
        can_ask_again=is_empty and event.status == "incomplete" and reason in ASK_AGAIN_REASONS,
        fatal_failure=fatal,
    )


def notice_of_ending(reason: IncompleteReason | None, error: Event, *, is_empty: bool) -> Notice | None:
    """Return the message for the visitor about an ending. `error`: of a failed response."""
    if reason is IncompleteReason.CONTENT_FILTER:
        return Notice.REPLY_FILTERED
    if reason is IncompleteReason.LENGTH_LIMIT:
        return Notice.REPLY_OUT_OF_TOKENS if is_empty else Notice.REPLY_TOO_LONG
    if is_rate_limit(error):
        return Notice.REPLY_RATE_LIMITED
    if is_empty:
        return Notice.REPLY_FAILED
    return Notice.REPLY_BROKEN_OFF if reason is not None else None


def notice_of_silence(conversation: Conversation, response_id: str, *, being_given: bool) -> Notice | None:
    """Return the message for the visitor about an awaited reply of which nothing has come for too long.

    A server that completes the message and leaves out `response.done` has said everything.
    """
    if not being_given or not conversation.has_reply(response_id):
        return Notice.REPLY_FAILED
    return None if conversation.is_reply_whole(response_id) else Notice.REPLY_BROKEN_OFF


def is_rate_limit(error: Event) -> bool:
    """Return whether an `error` object reports too many requests."""
    return any(get_string(error, key).startswith("rate_limit") for key in ("code", "type"))


# ---------------------------------------------------------------- errors

HARMLESS_CODES = frozenset({"response_cancel_not_active", "item_not_found"})
"""Codes of errors that only report that our event came too late."""
OUTPUT_PENDING_CODE = "function_call_output_pending"
"""Code of the refusal of a reply while the output of a function call is missing (Speech-to-Speech servers)."""
ITEM_PARAMS = frozenset({"item_id", "content_index", "audio_end_ms"})
"""Fields of the events that truncate and delete items, and of no other event of ours."""
TRUNCATION_CODES = frozenset({"", "invalid_value"})
"""Codes of the errors about a truncation. OpenAI sends null: "Audio content of 1000ms is already shorter than 2000ms"
and "Only model output audio messages can be truncated"."""


class ErrorAction(Enum):
    """Reaction to an error."""

    IGNORE = "ignore"
    REQUEST_RESPONSE = "request_response"
    """The awaited reply does not come: a wanted one may be requested now."""
    TURN_UNANSWERED = "turn_unanswered"
    """The server could not answer a spoken turn, because another reply is being made."""
    FAILURE = "failure"


def is_about_response_request(error: ServerError) -> bool:
    """Return whether the error is about a `response.create` of ours."""
    return error.event_id.startswith(RESPONSE_EVENT_PREFIX)


def is_about_item_or_settings(error: ServerError, *, answer_is_due: bool) -> bool:
    """Return whether an error without our event's id is about a truncation, a deletion or a setting, not about a reply.

    `answer_is_due`: a truncation or cancellation was sent that the server has neither confirmed nor refused.
    """
    field = get_string(error.error, "param")
    if error.event_id:
        return False
    if field in ITEM_PARAMS or field.partition(".")[0] == "session":
        return True
    return answer_is_due and not field and error.code in TRUNCATION_CODES


def classify_error(
    error: ServerError, tracker: ResponseTracker, *, client_side: bool, answer_is_due: bool
) -> ErrorAction:
    """Return the reaction to an error, and report to `tracker` what it says of the reply.

    `client_side`: the server does not interrupt its own replies, so that two of them can collide.
    `answer_is_due`: see `is_about_item_or_settings`.
    """
    code, registry = error.code, tracker.registry
    if is_about_response_request(error) and error.event_id != tracker.request_event_id:
        tracker.drop_stale_request()  # the message that it was for was cleared
        return ErrorAction.REQUEST_RESPONSE
    if code == "conversation_already_has_active_response":
        if client_side and not error.event_id and not registry.is_requested:
            awaited = tracker.user_turn not in (UserTurnStatus.NONE, UserTurnStatus.DISMISSED)
            return ErrorAction.TURN_UNANSWERED if awaited else ErrorAction.IGNORE
        if tracker.request_event_id:  # another response was quicker than ours
            tracker.defer_request()
        return ErrorAction.IGNORE
    if code == OUTPUT_PENDING_CODE and is_about_response_request(error):
        tracker.hold_request()
        return ErrorAction.IGNORE
    if code in HARMLESS_CODES or error.event_id.startswith(IGNORABLE_ERROR_PREFIXES):
        # The error is about a cancelled reply: one that was requested or announced meanwhile goes on.
        if code == "response_cancel_not_active" and registry.is_busy and not registry.is_active:
            registry.release()
            return ErrorAction.REQUEST_RESPONSE
        return ErrorAction.IGNORE
    if is_about_item_or_settings(error, answer_is_due=answer_is_due):
        return ErrorAction.IGNORE
    field = loggable_code(error.error.get("param"))
    log.warning("call: server error code=%s field=%s", loggable_code(code), field)
    return ErrorAction.FAILURE


def notice_of_error(error: ServerError, *, awaited: bool) -> Notice | Failure | None:
    """Return the message for the visitor about an error; None where it changes nothing for them.

    `awaited`: a reply is to come. An error that ends the session is the connection's, which ends then.
    """
    failure = failure_of_error(error.error)
    if failure in FATAL:
        return failure
    if not awaited:
        return None
    return Notice.REPLY_RATE_LIMITED if is_rate_limit(error.error) else Notice.REPLY_FAILED
