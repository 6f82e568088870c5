"""The text tab: a chat with a socket and a history of its own, streamed in as Markdown.

Like the voice tab it owns nothing and shows whole snapshots. One endless generator per chat (`on_watch`) carries them;
it is started by whatever opened the chat, the button or the first message.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
from gradio.context import Context
from gradio.events import Dependency

from realtime.conversation import Bubble
from realtime.snapshot import OVER
from realtime_handler import Snapshot, Stage, Visitor, VoiceCall
from text_chat import TextChat

from .chatbox import AWAITED, Message, chatbox, message_box, places_in_queue, shown, taking
from .figures import figures
from .markup import literal, written
from .readers import unread, while_read
from .status import Refresh, ServerLine, status_html
from .texts import CHAT_NOTICES, CHAT_STAGES, CONNECT_BUTTON, Locale, label, sentence

BUSY = frozenset({Stage.THINKING, Stage.SPEAKING})


def message(bubble: Bubble) -> Message | None:
    """One bubble as a chatbot message; None when there is nothing to show yet."""
    return shown(bubble, literal(bubble.text) if bubble.role == "user" else written(bubble.text))


def history(snapshot: Snapshot) -> list[Message]:
    """All messages; the place where the next one will appear is shown while it is awaited."""
    messages = [each for bubble in snapshot.bubbles if (each := message(bubble)) is not None]
    if snapshot.stage in BUSY and (not messages or messages[-1]["role"] == "user"):
        messages.append({"role": "assistant", "content": AWAITED})
    return messages


def line(stage: str, notice: str | None, server: str, locale: Locale, place: int = 0, seconds: int = 0) -> str:
    """The tab's status bar. `place` and `seconds`: as in a `Snapshot`."""
    text = sentence(CHAT_NOTICES, notice, locale) if notice else sentence(CHAT_STAGES, stage, locale)
    return status_html(stage, notice, text.format(place=place, seconds=seconds), server, locale)


def connect_button(connected: bool, locale: Locale) -> gr.Button:
    """The same button connects and disconnects."""
    words = sentence(CONNECT_BUTTON, "disconnect" if connected else "connect", locale)
    return gr.Button(words, variant="secondary" if connected else "primary")


def build(
    call: VoiceCall,
    server: ServerLine,
    visitor: gr.State,
    locale: gr.State,
    begin: Dependency,
) -> Refresh:
    """Lay out the tab inside the current Blocks and wire it. `call`, the prototype of a voice call, has what both
    share: settings, servers, places and accounts. `visitor` holds a `Visitor`, `locale` a `Locale`; `begin` is the
    event after which they are known."""
    chat = chatbox("text", height="calc(100dvh - 350px)")
    with gr.Row(elem_id="text-typing"):
        typed = message_box("text", max_lines=10)
        send = gr.Button(label("voice_send"), elem_id="text-send", variant="primary", scale=1, min_width=90)
        stop = gr.Button(
            label("text_stop"), elem_id="text-stop", variant="stop", scale=1, min_width=90, interactive=False
        )
    with gr.Row(elem_id="text-controls"):
        connect = gr.Button(label("text_connect"), elem_id="text-connect", variant="primary", scale=1, min_width=120)
        clear = gr.Button(label("voice_clear"), elem_id="text-clear", scale=1, min_width=120)
    sums = gr.HTML(elem_id="text-figures", padding=False)
    status = gr.HTML(elem_id="text-status", elem_classes="status-bar", padding=False)

    def open_chat(who: Visitor) -> TextChat:
        opened = who.chat = TextChat(
            call.settings,
            lambda: call.endpoint(who.own_key),
            call.places,
            who.written,
            call.accounts,
            visitor=who.key,
        )
        opened.open()
        return opened

    def under_way(who: Visitor) -> TextChat | None:
        return who.chat if who.chat is not None and who.chat.under_way else None

    async def on_connect(who: Visitor) -> None:
        current = under_way(who)
        if current is None:
            open_chat(who)
        else:
            current.leave()

    async def on_send(who: Visitor, text: str) -> Any:
        if not text.strip():
            return gr.skip()
        current = under_way(who) or open_chat(who)
        return gr.skip() if current.say(text) else text

    page = Context.root_block
    assert page is not None

    async def on_watch(who: Visitor, where: Locale, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        current = who.chat
        if current is None or current.watched:
            yield (gr.skip(),) * 5  # a generator that ends without a word empties its outputs
            return
        async for snapshot in while_read(current.news(), lambda: unread(page, request.session_hash)):
            connected = snapshot.stage not in OVER
            name = snapshot.server or server(who.own_key)[2]
            yield (
                history(snapshot),
                line(snapshot.stage, snapshot.notice, name, where, snapshot.place, snapshot.seconds),
                connect_button(connected, where),
                gr.Button(interactive=snapshot.stage in BUSY),
                figures(snapshot, where),
            )
        current.leave()  # nobody reads it any more, if it was not over

    async def on_stop(who: Visitor) -> None:
        if who.chat is not None:
            who.chat.stop()

    async def on_clear(who: Visitor) -> list[Message]:
        current = under_way(who)
        if current is not None:
            current.clear()
        else:
            who.written.clear()
        return []

    def on_load(who: Visitor, where: Locale) -> tuple[str, gr.Button]:
        return line(Stage.IDLE, None, server(who.own_key)[2], where), connect_button(False, where)

    def on_new_server(who: Visitor, where: Locale) -> Any:
        return gr.skip() if under_way(who) else line(Stage.IDLE, None, server(who.own_key)[2], where)

    quick: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_name": False}
    watch: dict[str, Any] = {
        "fn": on_watch,
        "inputs": [visitor, locale],
        "outputs": [chat, status, connect, stop, sums],
        "show_progress": "hidden",
        "concurrency_limit": places_in_queue(call.settings.max_chats, call.settings),
        "trigger_mode": "multiple",
        "api_name": False,
    }
    connect.click(on_connect, visitor, None, **quick).then(**watch)
    gr.on(
        [send.click, typed.submit],
        on_send,
        [visitor, typed],
        typed,
        js=taking("text", 2),
        trigger_mode="multiple",
        **quick,
    ).then(**watch)
    stop.click(on_stop, visitor, None, **quick)
    clear.click(on_clear, visitor, chat, **quick)
    begin.then(on_load, [visitor, locale], [status, connect], **quick)
    return Refresh(on_new_server, [status])
