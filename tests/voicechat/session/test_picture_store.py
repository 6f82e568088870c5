"""Picture store: owners, lifetimes and limits."""

from __future__ import annotations

import gc

import pytest

from tests.support.manual_clock import ManualClock
from voicechat.conversation.conversation import Conversation
from voicechat.pictures.image_file import JPEG, ImageFile
from voicechat.session.picture_store import MAX_UNSENT_PER_OWNER, UNSENT_LIFETIME_S, UPLOAD_BURST, PictureStore


def image(size: int = 100) -> ImageFile:
    return ImageFile(JPEG, 64, 48, bytes(size))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> PictureStore:
    return PictureStore(clock, max_owner_bytes=1000, max_bytes=2500)


def test_picture_is_shown_to_its_owner_alone(store: PictureStore) -> None:
    name = store.put("anna", image()).view.name
    assert len(name) >= 43
    assert store.get("anna", name) is not None
    assert store.get("ben", name) is None
    assert store.find_unsent("ben", [name]) == []


def test_unsent_picture_expires(store: PictureStore, clock: ManualClock) -> None:
    name = store.put("anna", image()).view.name
    clock.now += UNSENT_LIFETIME_S
    assert store.get("anna", name) is None
    gc.collect()
    assert len(store) == 0


def test_sent_picture_lives_as_long_as_its_message(store: PictureStore, clock: ManualClock) -> None:
    conversation = Conversation()
    picture = store.put("anna", image())
    name = picture.view.name
    conversation.add_user_message("Look", pictures=[picture])
    store.release([picture])
    del picture
    clock.now += 10 * UNSENT_LIFETIME_S
    assert store.get("anna", name) is not None
    record = conversation.to_record(0.0)
    conversation.clear()
    assert store.get("anna", name) is not None, "the record of a closed page keeps it"
    del record
    gc.collect()
    assert store.get("anna", name) is None


def test_sent_picture_is_not_sent_twice(store: PictureStore) -> None:
    picture = store.put("anna", image())
    store.release([picture])
    assert store.find_unsent("anna", [picture.view.name]) == []


def test_oldest_picture_of_an_owner_is_erased_first(store: PictureStore) -> None:
    kept = [store.put("anna", image(400)) for _ in range(3)]
    assert [picture.byte_count for picture in kept] == [0, 400, 400]


def test_owner_with_the_most_loses_one_when_all_is_full(store: PictureStore) -> None:
    large = [store.put("anna", image(450)), store.put("anna", image(450))]
    others = [store.put(owner, image(400)) for owner in ("ben", "cleo", "dora", "emil", "finn")]
    assert [picture.byte_count for picture in large] == [0, 450]
    assert all(picture.byte_count for picture in others)


def test_forgotten_owner_has_no_unsent_pictures(store: PictureStore) -> None:
    drafts = [store.put("anna", image()) for _ in range(2)]
    others = store.put("ben", image())
    store.forget_owner("anna")
    assert [picture.byte_count for picture in drafts] == [0, 0]
    assert others.byte_count == 100 and len(store.find_unsent("anna", [each.view.name for each in drafts])) == 0


def test_pictures_without_a_message_are_limited(store: PictureStore) -> None:
    names = [store.put("anna", image(1)).view.name for _ in range(MAX_UNSENT_PER_OWNER + 2)]
    assert [store.get("anna", name) is not None for name in names] == [False] * 2 + [True] * MAX_UNSENT_PER_OWNER


def test_uploads_are_limited_by_a_bucket(store: PictureStore, clock: ManualClock) -> None:
    allowed = [store.try_upload("anna") == 0.0 for _ in range(int(UPLOAD_BURST) + 3)]
    assert allowed == [True] * int(UPLOAD_BURST) + [False] * 3
    assert store.try_upload("ben") == 0.0
    clock.now += store.try_upload("anna") + 0.01
    assert store.try_upload("anna") == 0.0
