"""Chat templates of other models with a real llama.cpp, over HTTP and in the process: none refuses our requests, and
no thought gets through. A tiny model with the carried one's tokens stands in for the others: the template, and where
needed a grammar for its replies, are replaced."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import xllamacpp

from offline.endpoints.chat_client import ChatEndpoint
from offline.endpoints.chat_stream import ChatText
from offline.endpoints.errors import EndpointError, EndpointFault
from offline.endpoints.settings import EndpointSettings
from offline.llm import language_model
from offline.llm.errors import LlmError
from offline.llm.language_model import LanguageModel
from offline.llm.llama_server import start_llama_server
from offline.llm.prompt import build_prompt
from offline.models.store import find_models
from offline.protocol.worker_messages import LlmMessage, ReplyRequest
from offline.remote.chat_prompt import build_chat_request
from tests.support.endpoints.llama_http_server import LlamaSettings, running_llama_server
from tests.support.models.tiny_language_model import write_tiny_language_model

pytestmark = pytest.mark.models

_MESSAGES = "{%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{%- endfor %}"
_BEGINNING = "{%- if add_generation_prompt %}<|im_start|>assistant\n"

PLAIN = _MESSAGES + _BEGINNING + "{%- endif %}"
"""ChatML, which knows nothing of thoughts."""
QWEN3 = _MESSAGES + (
    _BEGINNING + "{%- if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{%- endif %}"
    "{%- endif %}"
)
"""Form of Qwen3's: thoughts are on by default, and an empty block of them switches them off."""
TOO_LONG_WITH_THOUGHTS = (
    "{%- if enable_thinking is not defined or enable_thinking %}"
    "{%- for n in range(4000) %}thought {% endfor %}{%- endif %}" + QWEN3
)
"""The same, with a prompt beyond the context window in place of thoughts: a reply shows that they were switched off."""
OPENS_THOUGHTS = _MESSAGES + _BEGINNING + "<think>\n{%- endif %}"
"""Form of QwQ's and DeepSeek R1's: the prompt ends within thoughts, and no switch is known."""
ALTERNATING = (
    "{%- set turns = messages[1:] if messages[0].role == 'system' else messages %}"
    "{%- for m in turns %}"
    "{%- if m.role not in ('user', 'assistant') %}{{ raise_exception('only user and assistant') }}{%- endif %}"
    "{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{%- endif %}"
    "{%- endfor %}" + _MESSAGES + _BEGINNING + "{%- endif %}"
)
"""Form of Mistral's: one system message at most, then user and assistant in turn."""
NO_SYSTEM = "{%- if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{%- endif %}" + ALTERNATING
"""Form of Gemma's first ones: no system message at all."""


def conversation(*turns: tuple[str, str]) -> ReplyRequest:
    messages = (LlmMessage("system", "Be kind."), *(LlmMessage(role, text) for role, text in turns))  # type: ignore[arg-type]
    return ReplyRequest(messages, speak=True, max_tokens=24)


CONVERSATIONS = {
    "ahead of the first turn": conversation(),
    "one turn": conversation(("user", "Say hello.")),
    "two turns in a row": conversation(("user", "Hello."), ("user", "Say hello.")),
    "greeting": conversation(("assistant", "Welcome!"), ("user", "Say hello.")),
    "interrupted reply": conversation(
        ("user", "Hi."), ("assistant", "I"), ("assistant", "Yes?"), ("user", "Say hello.")
    ),
    "system message in between": conversation(("user", "Hi."), ("system", "Be short."), ("user", "Say hello.")),
}

Reply = Callable[[ReplyRequest], str]


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    carried, path = find_models().llm, tmp_path_factory.mktemp("model") / "tiny.gguf"
    assert carried is not None
    write_tiny_language_model(path, carried)
    return path


@dataclass(frozen=True)
class Setup:
    """Template, the reply that a grammar dictates ("" for the model's own words), and the model's name."""

    template: str
    reply: str = ""
    name: str = "carried-model"

    @property
    def grammar(self) -> str:
        quoted = self.reply.replace("\n", "\\n")
        return f'root ::= "{quoted}"' if self.reply else ""


@contextmanager
def local(setup: Setup, weights: Path) -> Iterator[Reply]:
    """Let the language model of this process reply."""

    def start(params: xllamacpp.CommonParams) -> xllamacpp.Server:
        params.chat_template = setup.template
        params.warmup = False
        return start_llama_server(params)

    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(language_model, "start_llama_server", start)
        path = Path(folder) / f"{setup.name}.gguf"
        path.symlink_to(weights)
        model = LanguageModel(path, slots=1, threads=1, context_tokens=1024)

    def reply(request: ReplyRequest) -> str:
        prompt = build_prompt(request, ("en",), 1024, few_shot=False, any_template=True)
        if setup.grammar:
            prompt = replace(prompt, body={**prompt.body, "grammar": setup.grammar})
        pieces: list[str] = []
        model.prefill(prompt, 0, threading.Event())
        model.generate(prompt, 0, lambda text, _: pieces.append(text), threading.Event())
        return "".join(pieces)

    yield reply


@contextmanager
def remote(setup: Setup, weights: Path) -> Iterator[Reply]:
    """Let llama.cpp's HTTP server reply."""
    settings = LlamaSettings(1024, threads=1, template=setup.template, grammar=setup.grammar)
    with running_llama_server(settings, weights) as server:
        endpoint = ChatEndpoint(EndpointSettings(server.url, setup.name, server.key))
        with asyncio.Runner() as runner:

            async def ask(request: ReplyRequest) -> str:
                chat = build_chat_request(request, ("en",))
                await endpoint.warm_up(chat)
                async with aclosing(endpoint.stream(chat)) as events:
                    return "".join([event.text async for event in events if isinstance(event, ChatText)])

            yield lambda request: runner.run(ask(request))
            runner.run(endpoint.close())


Way = Callable[[Setup, Path], AbstractContextManager[Reply]]
WAYS = pytest.mark.parametrize("way", [local, remote])


@WAYS
def test_switch_against_thoughts_reaches_the_template(way: Way, tiny_model: Path) -> None:
    with way(Setup(TOO_LONG_WITH_THOUGHTS, "Hello there."), tiny_model) as reply:
        assert reply(CONVERSATIONS["one turn"]) == "Hello there."


@WAYS
@pytest.mark.parametrize("template", [ALTERNATING, NO_SYSTEM])
def test_strict_templates_take_every_conversation(way: Way, template: str, tiny_model: Path) -> None:
    with way(Setup(template), tiny_model) as reply:
        for name, request in CONVERSATIONS.items():
            assert reply(request).strip(), name


PLAIN_THOUGHTS = Setup(PLAIN, "<think>Secret plan.</think>\n\nHello there.")
"""A server that does not know the model's tags."""
OPENED_THOUGHTS = Setup(OPENS_THOUGHTS, "Secret plan.</think>\n\nHello there.", "qwq-32b")


@WAYS
@pytest.mark.parametrize("setup", [PLAIN_THOUGHTS, OPENED_THOUGHTS], ids=["tags", "opened in the prompt"])
def test_thoughts_are_not_delivered(way: Way, setup: Setup, tiny_model: Path) -> None:
    with way(setup, tiny_model) as reply:
        for _ in range(2):
            assert reply(CONVERSATIONS["one turn"]) == "Hello there."


@WAYS
@pytest.mark.parametrize("setup", [PLAIN_THOUGHTS, OPENED_THOUGHTS], ids=["tags", "opened in the prompt"])
def test_thoughts_that_never_end_are_no_reply(way: Way, setup: Setup, tiny_model: Path) -> None:
    """The limit of tokens comes before the end of the thoughts."""
    endless = replace(setup, reply=setup.reply.partition("plan.")[0] + "plan, " * 40)
    with way(endless, tiny_model) as reply:
        try:
            said = reply(CONVERSATIONS["one turn"])
        except EndpointError as error:
            assert error.fault is EndpointFault.EMPTY
        except LlmError:
            pass
        else:
            pytest.fail(f"delivered: {said!r}")
