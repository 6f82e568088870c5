"""Hypothesis strategies: complete events of beta and of GA, with one spelling of each value."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Event = dict[str, Any]
Events = st.SearchStrategy[Event]

ids = st.text("abcXYZ019_", min_size=1, max_size=12)
texts = st.text(max_size=12)
small_counts = st.integers(0, 9000)
flags = st.booleans()
choice_of = st.sampled_from


def nullable(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def json_objects(required: dict[str, Any] | None = None, /, **optional: st.SearchStrategy[Any]) -> Events:
    """Return a strategy for an object with all required fields and any choice of the optional ones."""
    fixed = {
        key: value if isinstance(value, st.SearchStrategy) else st.just(value)
        for key, value in (required or {}).items()
    }
    return st.fixed_dictionaries(fixed, optional=optional)


def events_of_type(name: str, /, **fields: Any) -> Events:
    return json_objects({"type": name, "event_id": ids, **fields})


# ---------------------------------------------------------------- fields of both dialects

vad = json_objects(
    {"type": "server_vad"},
    threshold=st.floats(0, 1),
    prefix_padding_ms=small_counts,
    silence_duration_ms=small_counts,
    create_response=flags,
    interrupt_response=flags,
)
semantic_vad = json_objects({"type": "semantic_vad"}, eagerness=choice_of(["low", "auto"]), create_response=flags)
turn_detection = nullable(vad | semantic_vad)
transcription = nullable(json_objects({"model": "whisper-1"}, language=choice_of(["en", "zh"]), prompt=texts))
noise_reduction = nullable(json_objects({"type": choice_of(["near_field", "far_field"])}))
tools = st.lists(
    json_objects({"type": "function", "name": ids, "parameters": {"type": "object"}}, description=texts), max_size=2
)
tokens = st.just("inf") | st.integers(1, 4096)
voices = choice_of(["alloy", "sage", "custom"])
shared_session = {"instructions": texts, "tools": tools, "tracing": nullable(st.just("auto"))}
part_position = {"response_id": ids, "item_id": ids, "output_index": small_counts, "content_index": small_counts}
metadata = nullable(st.dictionaries(ids, texts, max_size=2))
usage = json_objects({"total_tokens": small_counts, "input_tokens": small_counts, "output_tokens": small_counts})


def audio_formats(ga: bool) -> st.SearchStrategy[Any]:
    if not ga:
        return choice_of(["pcm16", "g711_ulaw", "g711_alaw"])
    return choice_of([{"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcmu"}, {"type": "audio/pcma"}])


def tool_choices(ga: bool) -> st.SearchStrategy[Any]:
    named = (
        json_objects({"type": "function", "name": ids})
        if ga
        else json_objects({"type": "function", "function": json_objects({"name": ids})})
    )
    return choice_of(["auto", "none", "required"]) | named


def named_tool_choice(event: Event) -> bool:
    """Return whether the tool choice is an object. The SDK's beta types allow only words, its documentation both."""
    holder = event.get("session") or event.get("response") or {}
    return isinstance(holder.get("tool_choice"), dict)


# ---------------------------------------------------------------- sessions


def sessions(ga: bool) -> Events:
    if not ga:
        return json_objects(
            {},
            **shared_session,
            modalities=choice_of([["text"], ["text", "audio"]]),
            voice=voices,
            speed=st.floats(0.25, 1.5),
            input_audio_format=audio_formats(ga),
            output_audio_format=audio_formats(ga),
            input_audio_transcription=transcription,
            input_audio_noise_reduction=noise_reduction,
            turn_detection=turn_detection,
            max_response_output_tokens=tokens,
            tool_choice=tool_choices(ga),
        )
    return json_objects(
        {"type": "realtime"},
        **shared_session,
        output_modalities=choice_of([["text"], ["audio"]]),
        max_output_tokens=tokens,
        tool_choice=tool_choices(ga),
        audio=st.builds(
            lambda audio_input, audio_output: {**audio_input, **audio_output},
            _inputs(),
            _outputs(speed=st.floats(0.25, 1.5)),
        ).filter(bool),
    )


def _inputs() -> Events:
    """Return a strategy for `audio.input`. An empty object is left out: it has no beta form."""
    fields = json_objects(
        {},
        format=audio_formats(True),
        transcription=transcription,
        noise_reduction=noise_reduction,
        turn_detection=turn_detection,
    )
    return fields.map(lambda found: {"input": found} if found else {})


def _outputs(**more: st.SearchStrategy[Any]) -> Events:
    return json_objects({}, format=audio_formats(True), voice=voices, **more).map(
        lambda found: {"output": found} if found else {}
    )


def transcription_sessions(ga: bool, more: Event | None = None) -> Events:
    if ga:
        return json_objects({"type": "transcription", **(more or {})}, audio=_inputs().filter(bool))
    return json_objects(
        more,
        input_audio_format=audio_formats(ga),
        input_audio_transcription=transcription,
        input_audio_noise_reduction=noise_reduction,
        turn_detection=nullable(vad),
    )


CLIENT_SECRET = {"client_secret": {"value": "-", "expires_at": 1}}
"""Only the HTTP answer has it, but the SDK's beta type of a transcription session requires it."""


# ---------------------------------------------------------------- items


def user_items() -> Events:
    part = json_objects({"type": "input_text", "text": texts}) | json_objects(
        {"type": "input_audio", "transcript": nullable(texts)}
    )
    message = json_objects(
        {"id": ids, "type": "message", "role": "user", "status": "completed", "content": st.lists(part, max_size=2)}
    )
    system = json_objects(
        {"id": ids, "type": "message", "role": "system", "content": [{"type": "input_text", "text": "-"}]}
    )
    return message | system | json_objects({"id": ids, "type": "function_call_output", "call_id": ids, "output": texts})


def reply_items(ga: bool, *, status: str, spoken: bool = True) -> Events:
    """Return a strategy for the output of a response: a message or a function call.

    `spoken` allows audio parts, which clients cannot send.
    """
    prefix = "output_" if ga else ""
    part = json_objects({"type": f"{prefix}text", "text": texts})
    if spoken:
        part |= json_objects({"type": f"{prefix}audio", "transcript": texts})
    in_progress = status == "in_progress"
    content: Any = [] if in_progress else st.lists(part, min_size=1, max_size=2)
    call = {"id": ids, "type": "function_call", "call_id": ids, "name": ids, "arguments": "" if in_progress else "{}"}
    message = {"id": ids, "type": "message", "role": "assistant", "content": content}
    return json_objects({**message, "status": status}) | json_objects({**call, "status": status})


def all_items(ga: bool, *, spoken: bool = True) -> Events:
    replies = (reply_items(ga, status=status, spoken=spoken) for status in ("completed", "incomplete"))
    return st.one_of(user_items(), *replies)


# ---------------------------------------------------------------- responses


def responses(ga: bool) -> Events:
    shared: dict[str, Any] = {
        "id": ids,
        "object": st.just("realtime.response"),
        "status": choice_of(["in_progress", "completed", "cancelled"]),
        "status_details": st.none(),
        "output": st.lists(reply_items(ga, status="completed"), max_size=2),
        "conversation_id": ids,
        "max_output_tokens": tokens,
        "usage": nullable(usage),
        "metadata": metadata,
    }
    if ga:
        return json_objects(
            {}, **shared, output_modalities=choice_of([["text"], ["audio"]]), audio=_outputs().filter(bool)
        )
    modalities = choice_of([["text"], ["text", "audio"]])
    return json_objects({}, **shared, modalities=modalities, voice=voices, output_audio_format=audio_formats(ga))


def response_overrides(ga: bool) -> Events:
    shared: dict[str, Any] = {
        "instructions": texts,
        "conversation": choice_of(["auto", "none"]),
        "metadata": metadata,
        "tools": tools,
        "tool_choice": tool_choices(ga),
        "input": st.lists(all_items(ga, spoken=False), max_size=2),
    }
    if ga:
        output = {"output_modalities": choice_of([["text"], ["audio"]]), "audio": _outputs().filter(bool)}
        return json_objects({}, **shared, **output, max_output_tokens=tokens)
    output = {
        "modalities": choice_of([["text"], ["text", "audio"]]),
        "voice": voices,
        "output_audio_format": audio_formats(ga),
    }
    return json_objects({}, **shared, **output, max_response_output_tokens=tokens)


# ---------------------------------------------------------------- events

TRANSCRIPTION_EVENT = "conversation.item.input_audio_transcription"
SHARED_CLIENT_EVENTS = (
    events_of_type("input_audio_buffer.append", audio="AAAA")
    | events_of_type("input_audio_buffer.commit")
    | events_of_type("input_audio_buffer.clear")
    | events_of_type("conversation.item.retrieve", item_id=ids)
    | events_of_type("conversation.item.truncate", item_id=ids, content_index=small_counts, audio_end_ms=small_counts)
    | events_of_type("conversation.item.delete", item_id=ids)
    | events_of_type("response.cancel", response_id=ids)
)
SHARED_SERVER_EVENTS = (
    events_of_type("conversation.created", conversation=json_objects({"id": ids, "object": "realtime.conversation"}))
    | events_of_type("conversation.item.deleted", item_id=ids)
    | events_of_type("conversation.item.truncated", item_id=ids, content_index=small_counts, audio_end_ms=small_counts)
    | events_of_type(f"{TRANSCRIPTION_EVENT}.delta", item_id=ids, content_index=small_counts, delta=texts)
    | events_of_type(
        f"{TRANSCRIPTION_EVENT}.completed",
        item_id=ids,
        content_index=small_counts,
        transcript=texts,
        usage=json_objects({"type": "duration", "seconds": small_counts}),
    )
    | events_of_type(
        f"{TRANSCRIPTION_EVENT}.failed",
        item_id=ids,
        content_index=small_counts,
        error=json_objects({"code": ids, "message": texts}),
    )
    | events_of_type("input_audio_buffer.speech_started", item_id=ids, audio_start_ms=small_counts)
    | events_of_type("input_audio_buffer.speech_stopped", item_id=ids, audio_end_ms=small_counts)
    | events_of_type("input_audio_buffer.committed", item_id=ids, previous_item_id=nullable(ids))
    | events_of_type("input_audio_buffer.cleared")
    | events_of_type("output_audio_buffer.started", response_id=ids)
    | events_of_type(
        "rate_limits.updated", rate_limits=st.lists(json_objects({"name": "tokens", "limit": small_counts}), max_size=1)
    )
    | events_of_type(
        "response.content_part.added", **part_position, part=json_objects({"type": "audio", "transcript": texts})
    )
    | events_of_type("response.content_part.done", **part_position, part=json_objects({"type": "text", "text": texts}))
    | events_of_type(
        "response.function_call_arguments.done",
        response_id=ids,
        item_id=ids,
        output_index=small_counts,
        call_id=ids,
        arguments=texts,
        name=ids,
    )
)


def client_events(ga: bool) -> Events:
    name = "session.update" if ga else "transcription_session.update"
    return (
        SHARED_CLIENT_EVENTS
        | events_of_type("session.update", session=sessions(ga))
        | events_of_type(name, session=transcription_sessions(ga))
        | events_of_type("conversation.item.create", item=all_items(ga, spoken=False), previous_item_id=ids)
        | events_of_type("response.create", response=response_overrides(ga))
        | events_of_type("response.create")
    )


def server_events(ga: bool) -> Events:
    """Return the server events that exist alone in both dialects."""
    prefix = "output_" if ga else ""
    params = "session.audio.input.turn_detection.threshold" if ga else "session.turn_detection.threshold"
    problem = {
        "type": "invalid_request_error",
        "message": texts,
        "param": nullable(choice_of([params, "type", "session.tools"])),
    }
    return (
        SHARED_SERVER_EVENTS
        | events_of_type("session.created", session=sessions(ga))
        | events_of_type("session.updated", session=sessions(ga))
        | events_of_type(
            "session.updated" if ga else "transcription_session.updated",
            session=transcription_sessions(ga, CLIENT_SECRET),
        )
        | events_of_type(f"response.{prefix}text.delta", **part_position, delta=texts)
        | events_of_type(f"response.{prefix}text.done", **part_position, text=texts)
        | events_of_type(f"response.{prefix}audio.delta", **part_position, delta="AAAA")
        | events_of_type(f"response.{prefix}audio.done", **part_position)
        | events_of_type(f"response.{prefix}audio_transcript.delta", **part_position, delta=texts)
        | events_of_type(f"response.{prefix}audio_transcript.done", **part_position, transcript=texts)
        | events_of_type("response.created", response=responses(ga))
        | events_of_type("response.done", response=responses(ga))
        | events_of_type(
            "response.output_item.added",
            response_id=ids,
            output_index=small_counts,
            item=reply_items(ga, status="in_progress"),
        )
        | events_of_type("conversation.item.retrieved", item=all_items(ga))
        | events_of_type("error", error=json_objects(problem, code=nullable(ids), event_id=nullable(ids)))
    )


def final_items(ga: bool) -> Events:
    """Return the items that are complete in their first event."""
    return user_items() | reply_items(ga, status="completed")


def output_item_done_events(ga: bool) -> Events:
    items = reply_items(ga, status="completed") | reply_items(ga, status="incomplete")
    return events_of_type("response.output_item.done", response_id=ids, output_index=small_counts, item=items)


def beta_server_events() -> Events:
    items = final_items(False) | reply_items(False, status="in_progress")
    created = events_of_type("conversation.item.created", item=items, previous_item_id=nullable(ids))
    return server_events(False) | created | output_item_done_events(False)


def ga_server_event_groups() -> st.SearchStrategy[list[Event]]:
    """Return events that GA sends as groups: `added` and `done` of an item, or both `done` of a reply's item."""
    added = "conversation.item.added"
    started = events_of_type(added, item=reply_items(True, status="in_progress"), previous_item_id=nullable(ids))
    final = events_of_type(added, item=final_items(True), previous_item_id=nullable(ids))
    return (
        (server_events(True) | started).map(lambda one: [one])
        | final.map(lambda one: [one, {**one, "type": "conversation.item.done"}])
        | output_item_done_events(True).map(lambda one: [{**one, "type": "conversation.item.done"}, one])
    )
