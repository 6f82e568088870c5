"""Strategies for visitors' records: any messages that a conversation may have, and preferences."""

from __future__ import annotations

from hypothesis import strategies as st

from voicechat.config.call_preferences import CallPreferences, EndpointingSpeed
from voicechat.config.settings import Language, NoiseReduction
from voicechat.conversation.call_clock import TimeSpan
from voicechat.conversation.incomplete_reason import IncompleteReason
from voicechat.conversation.items import ItemKind
from voicechat.conversation.record import ConversationRecord, ItemRecord
from voicechat.conversation.shown.bubble import BubbleState
from voicechat.conversation.shown.tool_use import ToolUse
from voicechat.session.conversation_store import VisitorRecord

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
spans = st.none() | st.tuples(st.floats(0, 100), st.floats(100, 200)).map(lambda ends: TimeSpan(*ends))


@st.composite
def messages(draw: st.DrawFn) -> ItemRecord:
    """Draw a message of either side."""
    kind = draw(st.sampled_from([ItemKind.USER, ItemKind.ASSISTANT]))
    state = draw(st.sampled_from([BubbleState.DONE, BubbleState.INTERRUPTED, BubbleState.INCOMPLETE]))
    reason = draw(st.sampled_from(IncompleteReason)) if state is BubbleState.INCOMPLETE else None
    said = draw(st.lists(texts, min_size=1, max_size=2))
    parts = [(text, draw(st.none() | st.integers(0, len(text)))) for text in said]
    is_typed = kind is ItemKind.USER and draw(st.booleans())
    return ItemRecord(kind, state, tuple(parts), draw(spans), reason, is_typed)


@st.composite
def tool_calls(draw: st.DrawFn) -> ItemRecord:
    """Draw a finished tool call."""
    state = draw(st.sampled_from(["done", "failed", "cancelled"]))
    use = ToolUse("call_1", "roll_dice", "{}", state, draw(texts), draw(st.none() | st.floats(0, 60)), "part")
    return ItemRecord(ItemKind.TOOL, BubbleState.DONE, (), draw(spans), tool_use=use)


items = messages() | tool_calls()
preferences = st.builds(
    CallPreferences,
    model=texts,
    voice=texts,
    language=st.none() | st.sampled_from(Language),
    instructions=texts,
    endpointing_speed=st.sampled_from(EndpointingSpeed),
    noise_reduction=st.none() | st.sampled_from(NoiseReduction),
    speed=st.none() | st.floats(0.5, 1.5),
    max_cost_usd=st.floats(0, 100),
    persona=texts,
    switched_off_tools=st.frozensets(texts, max_size=3),
)
message_ids = st.text("0123456789abcdef", min_size=16, max_size=32)


@st.composite
def records(draw: st.DrawFn) -> VisitorRecord:
    """Draw a record without a recording."""
    voice = ConversationRecord(tuple(draw(st.lists(items, max_size=6))), draw(st.floats(0, 1000)))
    text = ConversationRecord(tuple(draw(st.lists(items, max_size=3))))
    ids = tuple(draw(st.lists(message_ids, max_size=3)))
    due_at = draw(st.floats(0, 1e11))
    return VisitorRecord(voice, text, draw(preferences), accepted_messages=ids, reply_due_at=due_at)
