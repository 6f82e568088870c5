"""Pictures in chat requests: shown, named, and left out after a refusal."""

from __future__ import annotations

import pytest

from offline.endpoints.dialect import ChatDialect
from offline.llm.message_images import MAX_SHOWN_IMAGES, UNSEEN_IMAGE, render_content, with_newest_images
from offline.protocol.worker_messages import LlmMessage, ReplyRequest
from offline.remote.chat_prompt import build_chat_request

PICTURE = "data:image/jpeg;base64,/9j/4AAQ"
LOOK = LlmMessage("user", "Look", images=(PICTURE,))
REQUEST = ReplyRequest((LlmMessage("system", "Be brief."), LOOK), speak=False)


def test_endpoint_gets_the_picture_as_a_part() -> None:
    body = ChatDialect("vision").build_body(build_chat_request(REQUEST, ["en"]))
    assert body["messages"][-1]["content"] == [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": PICTURE}},
    ]


def test_model_here_reads_words_in_its_place() -> None:
    assert render_content(LOOK, shows_images=False) == f"Look\n{UNSEEN_IMAGE}"


def test_only_the_newest_pictures_are_shown() -> None:
    messages = with_newest_images([LOOK] * (MAX_SHOWN_IMAGES + 2))
    assert [len(message.images) for message in messages] == [0, 0] + [1] * MAX_SHOWN_IMAGES
    assert UNSEEN_IMAGE in messages[0].text


@pytest.mark.parametrize(
    "refusal",
    [
        "image input is not supported - hint: you may need to provide the mmproj",
        "Invalid content type. image_url is only supported by certain models.",
        "messages[1].content must be a string",
    ],
)
def test_refused_picture_is_left_out_from_then_on(refusal: str) -> None:
    dialect, request = ChatDialect("blind"), build_chat_request(REQUEST, ["en"])
    assert dialect.adapt({"message": refusal}, dialect.build_body(request))
    assert not dialect.takes_images
    assert dialect.build_body(request)["messages"][-1]["content"] == f"Look\n{UNSEEN_IMAGE}"
    assert not dialect.adapt({"message": refusal}, dialect.build_body(request)), "there is nothing left to change"


def test_refusal_without_a_picture_says_nothing_of_pictures() -> None:
    dialect = ChatDialect("other")
    request = build_chat_request(ReplyRequest((LlmMessage("user", "Hi"),), speak=False), ["en"])
    dialect.adapt({"message": "image input is not supported"}, dialect.build_body(request))
    assert dialect.takes_images
