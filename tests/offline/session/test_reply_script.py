"""Script of the replies of one session: typed text and requests decide, and other sessions are not affected."""

from __future__ import annotations

import pytest

from offline.llm.prompt import build_prompt
from offline.protocol.worker_messages import Generate, LlmMessage, ReplyRequest
from tests.support.offline.session_driver import SessionDriver


def script_of_reply(driver: SessionDriver) -> str:
    driver.send_event("response.create")
    request: ReplyRequest = driver.last_work(Generate).request
    driver.deliver_text("好。")
    driver.finish_reply()
    return request.script


def test_typed_simplified_text_changes_the_script_of_its_session_only() -> None:
    driver, other = SessionDriver(), SessionDriver(seed=2)
    for each in (driver, other):
        each.create_message("你好")
    assert script_of_reply(driver) == "traditional"
    simplified = driver.create_message("我们后天见")
    assert script_of_reply(driver) == "simplified"
    assert script_of_reply(other) == "traditional"
    driver.send_event("conversation.item.delete", item_id=simplified["id"])
    assert script_of_reply(driver) == "traditional", "a deleted message decides nothing"


def test_transcript_is_no_evidence_but_its_request_counts() -> None:
    driver = SessionDriver()
    driver.speak_turn("我们后天见。", language="zh")
    assert driver.last_work(Generate).request.script == "traditional"
    driver.deliver_text("好。")
    driver.finish_reply()
    driver.speak_turn("請用簡體字。", language="zh")
    assert driver.last_work(Generate).request.script == "simplified"


def test_reply_of_the_model_is_no_evidence() -> None:
    driver = SessionDriver()
    driver.create_message("我们后天见", role="assistant")
    driver.create_message("你好")
    assert script_of_reply(driver) == "traditional"


@pytest.mark.parametrize("languages", [("en", "zh"), ("zh",)])
@pytest.mark.parametrize("speak", [True, False])
def test_prompt_names_the_script(languages: tuple[str, ...], speak: bool) -> None:
    request = ReplyRequest((LlmMessage("user", "我们后天见"),), speak, script="simplified")
    rules, _, example = build_prompt(request, languages, 4096).messages[:3]
    assert "Simplified Chinese" in rules["content"] and "Traditional" not in rules["content"]
    assert example["content"] == "你好！很高兴认识你，想聊什么呢？"
