"""Pictures in a real browser: paste, send, look at, the camera, Clear, and a server that cannot see."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, expect

from tests.support.app.app_process import AppProcess
from tests.support.browser.text_chat_page import TextChatPage
from tests.support.pictures.image_files import SECRET_PLACE, jpeg, jpeg_with_metadata, opened
from tests.support.realtime.fake_echo_server import EchoRealtimeServer

pytestmark = pytest.mark.beside

PASTE = """([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
    const target = document.querySelector("#text-input textarea");
    target.focus();
    target.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
}"""
DROP = """([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""
READY = '#text-pictures li[data-state="ready"]'


@pytest.fixture
def chat(echo_app: AppProcess, browser: Browser) -> Iterator[TextChatPage]:
    page = TextChatPage(browser, echo_app.url)
    yield page
    errors = page.errors
    page.close()
    assert not errors


def add_picture(chat: TextChatPage, content: bytes, script: str = PASTE) -> None:
    chat.page.evaluate(script, ["IMG_0001.jpg", base64.b64encode(content).decode()])
    chat.page.wait_for_selector(READY)


def received_pictures(server: EchoRealtimeServer) -> list[tuple[str, bytes]]:
    """Return text and picture of each message with a picture that the server has received."""
    found = []
    for event in server.received_of("conversation.item.create"):
        content: list[dict[str, Any]] = event["item"]["content"]
        for part in content:
            if part["type"] == "input_image":
                head, _, encoded = part["image_url"].partition(",")
                assert head == "data:image/jpeg;base64"
                found.append((content[0]["text"], base64.b64decode(encoded)))
    return found


def test_pasted_photo_reaches_the_server_upright_small_and_without_metadata(
    chat: TextChatPage, echo_server: EchoRealtimeServer
) -> None:
    before = len(received_pictures(echo_server))
    add_picture(chat, jpeg_with_metadata(3000, 2000))
    chat.send_and_await_reply("What is on the left?")
    ((text, content),) = received_pictures(echo_server)[before:]
    assert text == "What is on the left?"
    image = opened(content)
    assert image.size == (683, 1024), "the camera was held upright"
    assert not image.getexif()
    assert SECRET_PLACE not in content
    top, bottom = image.getpixel((340, 20)), image.getpixel((340, 1000))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[0] > bottom[0], "the stored left side is above"
    expect(chat.page.locator(READY)).to_have_count(0)

    picture = chat.page.locator("#text-chat [data-testid=user] .picture img").last
    expect(picture).to_have_attribute("alt", "Picture")
    chat.page.wait_for_function("(image) => image.complete && image.naturalWidth === 683", arg=picture.element_handle())
    picture.click()
    expect(chat.page.locator("#picture-view img")).to_be_visible()
    chat.page.keyboard.press("Escape")
    expect(chat.page.locator("#picture-view")).to_be_hidden()


def test_description_and_fine_print_go_with_the_picture(chat: TextChatPage, echo_server: EchoRealtimeServer) -> None:
    before = len(received_pictures(echo_server))
    add_picture(chat, jpeg(3000, 2000), DROP)
    chat.page.locator(f"{READY} .thumbnail").click()
    chat.page.locator("#picture-alt").fill("A receipt <b>")
    chat.page.locator("#picture-fine").check()
    chat.page.keyboard.press("Escape")
    chat.page.wait_for_selector(READY)
    with chat.page.expect_response("**/voice-image/*") as shown:
        chat.send_and_await_reply("How much?")
    assert shown.value.headers["cache-control"] == "no-store"
    ((_, content),) = received_pictures(echo_server)[before:]
    assert max(opened(content).size) == 1568
    expect(chat.page.locator("#text-chat .picture img").last).to_have_attribute("alt", "A receipt <b>")


def test_picture_alone_is_sent_with_a_question(chat: TextChatPage, echo_server: EchoRealtimeServer) -> None:
    before = len(received_pictures(echo_server))
    add_picture(chat, jpeg(640, 480))
    add_picture(chat, jpeg(320, 200))
    expect(chat.page.locator(READY)).to_have_count(2)
    chat.page.locator(f"{READY} .drop").last.click()
    expect(chat.page.locator(READY)).to_have_count(1)
    chat.page.locator("#text-send").click()
    chat.wait_until("() => document.querySelectorAll('#text-chat [data-testid=bot]').length >= 1")
    ((text, content),) = received_pictures(echo_server)[before:]
    assert (text, opened(content).size) == ("What is in this picture?", (640, 480))


def test_chosen_file_that_is_no_picture_is_explained(chat: TextChatPage) -> None:
    chat.page.locator("#text-picture").click()
    with chat.page.expect_file_chooser() as chooser:
        chat.page.locator("#picture-dialog button", has_text="Choose").click()
    assert "image/heic" not in (chooser.value.element.get_attribute("accept") or "")
    heic: FilePayload = {"name": "IMG.heic", "mimeType": "image/heic", "buffer": b"\0\0\0\x18ftypheic" + bytes(100)}
    chooser.value.set_files(heic)
    expect(chat.page.locator("#text-pictures p")).to_contain_text("cannot open this picture")
    expect(chat.page.locator("#text-pictures li")).to_have_count(0)


def test_photo_of_the_camera_is_added_and_the_camera_closed(
    chat: TextChatPage, echo_server: EchoRealtimeServer
) -> None:
    before = len(received_pictures(echo_server))
    chat.page.locator("#text-picture").click()
    chat.page.evaluate(
        """() => {
            const native = MediaDevices.prototype.getUserMedia;
            MediaDevices.prototype.getUserMedia = async function (constraints) {
                return (window.cameraStream = await native.call(this, constraints));
            };
        }"""
    )
    chat.page.locator("#picture-dialog button", has_text="photo").click()
    chat.page.locator("#camera-shutter:not(:disabled)").click()
    chat.page.wait_for_selector(READY)
    assert chat.page.evaluate("cameraStream.getTracks().every((track) => track.readyState === 'ended')")
    chat.send_and_await_reply("Who is it?")
    ((_, content),) = received_pictures(echo_server)[before:]
    assert max(opened(content).size) <= 1024


@pytest.mark.allowed_page_errors(r"404.*voice-image")
@pytest.mark.parametrize("button", ["#text-pictures .drop", "#text-clear"])
def test_draft_that_is_removed_is_erased_on_the_server(chat: TextChatPage, button: str) -> None:
    with chat.page.expect_response(
        lambda response: response.request.method == "POST" and "voice-image" in response.url
    ) as answer:
        add_picture(chat, jpeg(640, 480))
    url = f"{answer.value.url}/{answer.value.json()['name']}"
    assert chat.page.evaluate("async (url) => (await fetch(url)).status", url) == 200
    chat.page.locator(button).click()
    expect(chat.page.locator("#text-pictures li")).to_have_count(0)
    chat.wait_until("async (url) => (await fetch(url)).status === 404", url)


@pytest.mark.allowed_page_errors(r"404.*voice-image")
def test_cleared_picture_is_erased_on_the_server(chat: TextChatPage) -> None:
    add_picture(chat, jpeg(640, 480))
    chat.send_and_await_reply("Look")
    url = chat.page.locator("#text-chat .picture img").last.evaluate("(image) => image.src")
    assert chat.page.evaluate("async (url) => (await fetch(url)).status", url) == 200
    add_picture(chat, jpeg(640, 480))
    chat.page.locator("#text-clear").click()
    expect(chat.page.locator("#text-chat .picture")).to_have_count(0)
    expect(chat.page.locator("#text-pictures li")).to_have_count(0)
    chat.wait_until("async (url) => (await fetch(url)).status === 404", url)


def test_picture_in_a_call_is_part_of_its_message(chat: TextChatPage, echo_server: EchoRealtimeServer) -> None:
    before = len(received_pictures(echo_server))
    chat.select_tab("Voice")
    chat.start_call()
    chat.page.evaluate(PASTE.replace("#text-input", "#voice-input"), ["a.jpg", base64.b64encode(jpeg()).decode()])
    chat.page.wait_for_selector('#voice-pictures li[data-state="ready"]')
    chat.send_typed_message("What is this?")
    expect(chat.page.locator("#voice-chat .picture img")).to_have_count(1)
    echo_server.wait_for("conversation.item.create", before + 1)
    assert [text for text, _ in received_pictures(echo_server)[before:]] == ["What is this?"]
    chat.hang_up()
    expect(chat.page.locator("#voice-chat .picture img")).to_have_count(1)
