"""Strategies: complete events of beta and of GA, in the one spelling that each dialect has for a value."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Event = dict[str, Any]
Events = st.SearchStrategy[Event]

ids = st.text("abcXYZ019_", min_size=1, max_size=12)
texts = st.text(max_size=12)
small = st.integers(0, 9000)
flags = st.booleans()
words = st.sampled_from


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def table(required: dict[str, Any] | None = None, /, **optional: st.SearchStrategy[Any]) -> Events:
    """An object: fixed and required fields first, then any choice of the optional ones."""
    fixed = {
        key: value if isinstance(value, st.SearchStrategy) else st.just(value)
        for key, value in (required or {}).items()
    }
    return st.fixed_dictionaries(fixed, optional=optional)


def event(name: str, /, **fields: Any) -> Events:
    return table({"type": name, "event_id": ids, **fields})


# ---------------------------------------------------------------- what both have

vad = table(
    {"type": "server_vad"},
    threshold=st.floats(0, 1),
    prefix_padding_ms=small,
    silence_duration_ms=small,
    create_response=flags,
    interrupt_response=flags,
)
semantic_vad = table({"type": "semantic_vad"}, eagerness=words(["low", "auto"]), create_response=flags)
turn_detection = maybe(vad | semantic_vad)
transcription = maybe(table({"model": "whisper-1"}, language=words(["en", "zh"]), prompt=texts))
noise_reduction = maybe(table({"type": words(["near_field", "far_field"])}))
tools = st.lists(
    table({"type": "function", "name": ids, "parameters": {"type": "object"}}, description=texts), max_size=2
)
tokens = st.just("inf") | st.integers(1, 4096)
voices = words(["alloy", "sage", "somebody"])
shared_session = {"instructions": texts, "tools": tools, "tracing": maybe(st.just("auto"))}
place = {"response_id": ids, "item_id": ids, "output_index": small, "content_index": small}
metadata = maybe(st.dictionaries(ids, texts, max_size=2))
usage = table({"total_tokens": small, "input_tokens": small, "output_tokens": small})


def formats(ga: bool) -> st.SearchStrategy[Any]:
    if not ga:
        return words(["pcm16", "g711_ulaw", "g711_alaw"])
    return words([{"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcmu"}, {"type": "audio/pcma"}])


def tool_choices(ga: bool) -> st.SearchStrategy[Any]:
    named = (
        table({"type": "function", "name": ids})
        if ga
        else table({"type": "function", "function": table({"name": ids})})
    )
    return words(["auto", "none", "required"]) | named


def named_tool_choice(event: Event) -> bool:
    """The beta types of the SDK have only the words; its texts tell of the object."""
    holder = event.get("session") or event.get("response") or {}
    return isinstance(holder.get("tool_choice"), dict)


# ---------------------------------------------------------------- sessions


def sessions(ga: bool) -> Events:
    if not ga:
        return table(
            {},
            **shared_session,
            modalities=words([["text"], ["text", "audio"]]),
            voice=voices,
            speed=st.floats(0.25, 1.5),
            input_audio_format=formats(ga),
            output_audio_format=formats(ga),
            input_audio_transcription=transcription,
            input_audio_noise_reduction=noise_reduction,
            turn_detection=turn_detection,
            max_response_output_tokens=tokens,
            tool_choice=tool_choices(ga),
        )
    return table(
        {"type": "realtime"},
        **shared_session,
        output_modalities=words([["text"], ["audio"]]),
        max_output_tokens=tokens,
        tool_choice=tool_choices(ga),
        audio=st.builds(lambda heard, said: {**heard, **said}, _inputs(), _outputs(speed=st.floats(0.25, 1.5))).filter(
            bool
        ),
    )


def _inputs() -> Events:
    """`audio.input`, or nothing at all: an object that says nothing is no way to say something."""
    fields = table(
        {},
        format=formats(True),
        transcription=transcription,
        noise_reduction=noise_reduction,
        turn_detection=turn_detection,
    )
    return fields.map(lambda said: {"input": said} if said else {})


def _outputs(**more: st.SearchStrategy[Any]) -> Events:
    return table({}, format=formats(True), voice=voices, **more).map(lambda said: {"output": said} if said else {})


def transcription_sessions(ga: bool, more: Event | None = None) -> Events:
    if ga:
        return table({"type": "transcription", **(more or {})}, audio=_inputs().filter(bool))
    return table(
        more,
        input_audio_format=formats(ga),
        input_audio_transcription=transcription,
        input_audio_noise_reduction=noise_reduction,
        turn_detection=maybe(vad),
    )


SECRET = {"client_secret": {"value": "-", "expires_at": 1}}
"""Only the answer of a POST had it, but the SDK's beta type of a server's transcription session requires it."""


# ---------------------------------------------------------------- items


def user_items() -> Events:
    part = table({"type": "input_text", "text": texts}) | table({"type": "input_audio", "transcript": maybe(texts)})
    message = table(
        {"id": ids, "type": "message", "role": "user", "status": "completed", "content": st.lists(part, max_size=2)}
    )
    system = table({"id": ids, "type": "message", "role": "system", "content": [{"type": "input_text", "text": "-"}]})
    return message | system | table({"id": ids, "type": "function_call_output", "call_id": ids, "output": texts})


def reply_items(ga: bool, *, status: str, spoken: bool = True) -> Events:
    """What a response makes: a message or a call. A client can tell of one only in writing."""
    prefix = "output_" if ga else ""
    part = table({"type": f"{prefix}text", "text": texts})
    if spoken:
        part |= table({"type": f"{prefix}audio", "transcript": texts})
    begun = status == "in_progress"
    content: Any = [] if begun else st.lists(part, min_size=1, max_size=2)
    call = {"id": ids, "type": "function_call", "call_id": ids, "name": ids, "arguments": "" if begun else "{}"}
    message = {"id": ids, "type": "message", "role": "assistant", "content": content}
    return table({**message, "status": status}) | table({**call, "status": status})


def all_items(ga: bool, *, spoken: bool = True) -> Events:
    replies = (reply_items(ga, status=status, spoken=spoken) for status in ("completed", "incomplete"))
    return st.one_of(user_items(), *replies)


# ---------------------------------------------------------------- responses


def responses(ga: bool) -> Events:
    shared: dict[str, Any] = {
        "id": ids,
        "object": st.just("realtime.response"),
        "status": words(["in_progress", "completed", "cancelled"]),
        "status_details": st.none(),
        "output": st.lists(reply_items(ga, status="completed"), max_size=2),
        "conversation_id": ids,
        "max_output_tokens": tokens,
        "usage": maybe(usage),
        "metadata": metadata,
    }
    if ga:
        return table({}, **shared, output_modalities=words([["text"], ["audio"]]), audio=_outputs().filter(bool))
    modalities = words([["text"], ["text", "audio"]])
    return table({}, **shared, modalities=modalities, voice=voices, output_audio_format=formats(ga))


def overrides(ga: bool) -> Events:
    shared: dict[str, Any] = {
        "instructions": texts,
        "conversation": words(["auto", "none"]),
        "metadata": metadata,
        "tools": tools,
        "tool_choice": tool_choices(ga),
        "input": st.lists(all_items(ga, spoken=False), max_size=2),
    }
    if ga:
        said = {"output_modalities": words([["text"], ["audio"]]), "audio": _outputs().filter(bool)}
        return table({}, **shared, **said, max_output_tokens=tokens)
    said = {"modalities": words([["text"], ["text", "audio"]]), "voice": voices, "output_audio_format": formats(ga)}
    return table({}, **shared, **said, max_response_output_tokens=tokens)


# ---------------------------------------------------------------- events

HEARD = "conversation.item.input_audio_transcription"
CLIENT_SAME = (
    event("input_audio_buffer.append", audio="AAAA")
    | event("input_audio_buffer.commit")
    | event("input_audio_buffer.clear")
    | event("conversation.item.retrieve", item_id=ids)
    | event("conversation.item.truncate", item_id=ids, content_index=small, audio_end_ms=small)
    | event("conversation.item.delete", item_id=ids)
    | event("response.cancel", response_id=ids)
)
SERVER_SAME = (
    event("conversation.created", conversation=table({"id": ids, "object": "realtime.conversation"}))
    | event("conversation.item.deleted", item_id=ids)
    | event("conversation.item.truncated", item_id=ids, content_index=small, audio_end_ms=small)
    | event(f"{HEARD}.delta", item_id=ids, content_index=small, delta=texts)
    | event(
        f"{HEARD}.completed",
        item_id=ids,
        content_index=small,
        transcript=texts,
        usage=table({"type": "duration", "seconds": small}),
    )
    | event(f"{HEARD}.failed", item_id=ids, content_index=small, error=table({"code": ids, "message": texts}))
    | event("input_audio_buffer.speech_started", item_id=ids, audio_start_ms=small)
    | event("input_audio_buffer.speech_stopped", item_id=ids, audio_end_ms=small)
    | event("input_audio_buffer.committed", item_id=ids, previous_item_id=maybe(ids))
    | event("input_audio_buffer.cleared")
    | event("output_audio_buffer.started", response_id=ids)
    | event("rate_limits.updated", rate_limits=st.lists(table({"name": "tokens", "limit": small}), max_size=1))
    | event("response.content_part.added", **place, part=table({"type": "audio", "transcript": texts}))
    | event("response.content_part.done", **place, part=table({"type": "text", "text": texts}))
    | event(
        "response.function_call_arguments.done",
        response_id=ids,
        item_id=ids,
        output_index=small,
        call_id=ids,
        arguments=texts,
        name=ids,
    )
)


def client_events(ga: bool) -> Events:
    name = "session.update" if ga else "transcription_session.update"
    return (
        CLIENT_SAME
        | event("session.update", session=sessions(ga))
        | event(name, session=transcription_sessions(ga))
        | event("conversation.item.create", item=all_items(ga, spoken=False), previous_item_id=ids)
        | event("response.create", response=overrides(ga))
        | event("response.create")
    )


def server_events(ga: bool) -> Events:
    """Those that stand alone in both dialects."""
    prefix = "output_" if ga else ""
    params = "session.audio.input.turn_detection.threshold" if ga else "session.turn_detection.threshold"
    problem = {
        "type": "invalid_request_error",
        "message": texts,
        "param": maybe(words([params, "type", "session.tools"])),
    }
    return (
        SERVER_SAME
        | event("session.created", session=sessions(ga))
        | event("session.updated", session=sessions(ga))
        | event(
            "session.updated" if ga else "transcription_session.updated", session=transcription_sessions(ga, SECRET)
        )
        | event(f"response.{prefix}text.delta", **place, delta=texts)
        | event(f"response.{prefix}text.done", **place, text=texts)
        | event(f"response.{prefix}audio.delta", **place, delta="AAAA")
        | event(f"response.{prefix}audio.done", **place)
        | event(f"response.{prefix}audio_transcript.delta", **place, delta=texts)
        | event(f"response.{prefix}audio_transcript.done", **place, transcript=texts)
        | event("response.created", response=responses(ga))
        | event("response.done", response=responses(ga))
        | event(
            "response.output_item.added",
            response_id=ids,
            output_index=small,
            item=reply_items(ga, status="in_progress"),
        )
        | event("conversation.item.retrieved", item=all_items(ga))
        | event("error", error=table(problem, code=maybe(ids), event_id=maybe(ids)))
    )


def final_items(ga: bool) -> Events:
    """Items that are complete when the server first tells of them."""
    return user_items() | reply_items(ga, status="completed")


def output_done(ga: bool) -> Events:
    items = reply_items(ga, status="completed") | reply_items(ga, status="incomplete")
    return event("response.output_item.done", response_id=ids, output_index=small, item=items)


def beta_server_events() -> Events:
    items = final_items(False) | reply_items(False, status="in_progress")
    created = event("conversation.item.created", item=items, previous_item_id=maybe(ids))
    return server_events(False) | created | output_done(False)


def ga_server_stories() -> st.SearchStrategy[list[Event]]:
    """Events that GA tells together: a final item is added and done, an item of a reply is done there and here."""
    added = "conversation.item.added"
    begun = event(added, item=reply_items(True, status="in_progress"), previous_item_id=maybe(ids))
    final = event(added, item=final_items(True), previous_item_id=maybe(ids))
    return (
        (server_events(True) | begun).map(lambda one: [one])
        | final.map(lambda one: [one, {**one, "type": "conversation.item.done"}])
        | output_done(True).map(lambda one: [{**one, "type": "conversation.item.done"}, one])
    )
