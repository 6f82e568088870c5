"""Conversations in a real Redis: it hangs, dies and comes back empty under a running call. Its dump holds no word."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from tests.support.app.canaries import OPERATOR, PROMPT, SPOKEN, TYPED, VISITOR, WRITTEN
from tests.support.sessions.fake_session import FakeSession
from tests.support.shared_state.redis_process import RedisProcess, running_redis
from tests.support.shared_state.replica import TTL_S, start_call, texts_of
from voicechat.config.call_preferences import CallPreferences
from voicechat.session.conversation_store import InMemoryConversationStore, ResumeKey, resume_key
from voicechat.session.page_resume import PageResume
from voicechat.session.visitor import Visitor
from voicechat.shared_state.conversations.conversation_scripts import PLAIN_FIELDS
from voicechat.shared_state.conversations.conversation_seal import ConversationSeal
from voicechat.shared_state.conversations.record_fields import parse_fields
from voicechat.shared_state.conversations.redis_conversation_store import RedisConversationStore
from voicechat.shared_state.redis_connection import RedisConnection
from voicechat.shared_state.visitor_names import VisitorNames

TOKEN = "Qx7CanaryToken9Yd" + "0123456789abcdef" * 3
OWNER = "browser Qx7CanaryCookie1Hb"


class RealReplica:
    """Replica over a Redis process, by the computer's clock."""

    def __init__(self, server: RedisProcess) -> None:
        self.connection = RedisConnection.open(server.url, "voice")
        names = VisitorNames(self.connection, b"a secret of the settings")
        self.store = RedisConversationStore(self.connection, names, InMemoryConversationStore(TTL_S), TTL_S)
        self.pages = PageResume(self.store)

    async def open_page(self, key: ResumeKey) -> Visitor:
        visitor = Visitor()
        await self.pages.fetch(key, visitor)
        self.pages.open_page(key, visitor)
        return visitor


def key_of_canaries() -> ResumeKey:
    key = resume_key(TOKEN, OWNER)
    assert key is not None
    return key


def stored_messages(server: RedisProcess, key: ResumeKey) -> list[str]:
    """Return the spoken messages that Redis holds of a page."""
    seal = ConversationSeal(key)
    try:
        with redis.Redis(port=server.port, socket_timeout=1) as client:
            fields: Any = client.hgetall(f"{{voice}}:conversation:{seal.name}")
    except redis.RedisError:
        return []
    sealed = {name.decode(): value for name, value in fields.items() if name not in PLAIN_FIELDS}
    if not sealed:
        return []
    record = parse_fields({name: seal.unseal(name, value) for name, value in sealed.items()})
    return ["".join(text for text, _ in item.parts) for item in record.voice.items]


async def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for `condition`, asked in a thread, while the replicas go on."""
    await asyncio.to_thread(poll, condition)


def poll(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)  # a hash has no push


async def test_call_goes_on_while_redis_hangs_dies_and_returns_empty(tmp_path: Path) -> None:
    key = key_of_canaries()
    with running_redis(tmp_path) as server:
        first, second = RealReplica(server), RealReplica(server)
        async with asyncio.timeout(100), first.connection.run_in_background(), first.pages.run_in_background():
            visitor = await first.open_page(key)
            call: FakeSession = start_call(visitor)

            async def say_and_wait(*texts: str) -> None:
                visitor.conversation.add_user_message(texts[-1])
                await wait_until(lambda: stored_messages(server, key) == list(texts))

            await say_and_wait("one")
            server.freeze()
            visitor.conversation.add_user_message("two")
            await wait_until(lambda: not first.connection.is_reachable)
            assert call.is_active and (await first.open_page(key_of_another_page())).conversation.bubbles() == ()
            server.thaw()
            await say_and_wait("one", "two", "three")
            server.kill()
            visitor.conversation.add_user_message("four")
            await wait_until(lambda: not first.connection.is_reachable)
            server.start()
            await wait_until(lambda: stored_messages(server, key) == ["one", "two", "three", "four"])
            assert call.is_active

            async with second.connection.run_in_background(), second.pages.run_in_background():
                back = await second.open_page(key)
                assert texts_of(back)[0] == ["one", "two", "three", "four"]
                await wait_until(
                    lambda: not call.is_active
                )  # by the message of the take-over: nothing has changed there
                assert texts_of(visitor) == ([], [])
                back.conversation.add_user_message("five")
                await wait_until(lambda: stored_messages(server, key) == ["one", "two", "three", "four", "five"])


def key_of_another_page() -> ResumeKey:
    key = resume_key(TOKEN[::-1], OWNER)
    assert key is not None
    return key


async def test_dump_after_a_conversation_holds_no_word_of_it(tmp_path: Path) -> None:
    canaries = [SPOKEN, TYPED, WRITTEN, PROMPT, VISITOR, OPERATOR, TOKEN, OWNER]
    secrets = [word[len(word) // 4 : -len(word) // 4] for word in canaries]
    key = key_of_canaries()
    with running_redis(tmp_path) as server, redis.Redis(port=server.port) as client:
        client.config_set("rdbcompression", "no")
        replica = RealReplica(server)
        async with replica.connection.run_in_background():
            visitor = await replica.open_page(key)
            visitor.conversation.add_user_message(SPOKEN)
            visitor.text_conversation.add_user_message(WRITTEN)
            visitor.preferences = CallPreferences(instructions=PROMPT, voice=TYPED)
            visitor.own_key = VISITOR
            await replica.store.write_changes()
            visitor.conversation.add_user_message(TYPED)
            await replica.store.write_changes()
            assert stored_messages(server, key) == [SPOKEN, TYPED]

            content = read_dump(client, tmp_path)
            found = [secret for secret in secrets for form in forms_of(secret) if form in content]
            assert found == []
            assert key.page.encode() not in content and key.owner.encode() not in content, "hashes of hashes only"
            assert key.secret not in content

            client.set("plain", SPOKEN)
            assert secrets[0].encode() in read_dump(client, tmp_path), "the search finds what is there"
            replica.pages.forget(visitor)
            await replica.store.write_changes()
            assert stored_messages(server, key) == []


def forms_of(secret: str) -> list[bytes]:
    """Return a text in the encodings that a store may use; in base64 its middle, which depends on no neighbour."""
    encoded = [base64.b64encode(b"x" * shift + secret.encode())[4:-4] for shift in range(3)]
    return [secret.encode(), secret.encode("utf-16-le"), secret.encode().hex().encode(), *encoded]


def read_dump(client: redis.Redis, folder: Path) -> bytes:
    """Return the content of a dump, with all keys and values as Redis itself serialises them."""
    client.save()
    keys: Any = client.keys("*")
    serialised = b"".join(key + (client.dump(key) or b"") for key in keys)
    return (folder / "dump.rdb").read_bytes() + serialised
