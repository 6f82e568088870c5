"""Pictures in a session: accepted where the model sees them, and part of the request."""

from __future__ import annotations

import pytest

from offline.protocol.worker_messages import Generate, LlmMessage
from tests.support.offline.session_driver import SessionDriver, single_error, single_event

PICTURE = "data:image/jpeg;base64,/9j/4AAQ"


def message(*parts: dict[str, str]) -> dict[str, object]:
    return {"type": "message", "role": "user", "content": list(parts)}


def test_picture_reaches_the_model_that_sees() -> None:
    driver = SessionDriver(sees_images=True)
    parts = ({"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": PICTURE})
    added = single_event(driver.send_event("conversation.item.create", item=message(*parts)), "conversation.item.added")
    assert [part["type"] for part in added["item"]["content"]] == ["input_text", "input_image"]
    assert PICTURE not in str(added), "the client has it"
    driver.send_event("response.create")
    assert driver.last_work(Generate).request.messages[-1] == LlmMessage("user", "Look", images=(PICTURE,))


def test_picture_is_refused_where_the_model_only_reads() -> None:
    item = message({"type": "input_image", "image_url": PICTURE})
    error = single_error(SessionDriver().send_event("conversation.item.create", item=item))
    assert (error["param"], "cannot see images" in error["message"]) == ("item.content[0]", True)


@pytest.mark.parametrize("url", ["", "https://example.com/a.png", "data:image/svg+xml;base64,AAAA", "data:image/png,x"])
def test_picture_of_another_form_is_refused(url: str) -> None:
    item = message({"type": "input_image", "image_url": url})
    error = single_error(SessionDriver(sees_images=True).send_event("conversation.item.create", item=item))
    assert error["param"] == "item.content[0].image_url"
