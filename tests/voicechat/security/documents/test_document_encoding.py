"""Compressed documents: the encoding that the client accepts, the same document, and the policy of its scripts."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.app.protected_app import PASSWORD, ProtectedApp
from voicechat.security.document_encoding import DocumentEncoder, accepts_gzip
from voicechat.security.security_headers import hash_inline_scripts

MAX_COMPRESSED_SHARE = 0.3
"""Share of the document's bytes that a compressed one has at most."""


@pytest.mark.parametrize(
    ("header", "is_accepted"),
    [
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, GZIP;q=0.5", True),
        ("*", True),
        ("*;q=0.1", True),
        ("x-gzip", True),
        ("deflate, gzip ; q=0.001", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("*, gzip;q=0", False),
        ("*;q=0", False),
        ("gzipped", False),
        ("gzip;q=nonsense", False),
    ],
)
def test_accepts_gzip_by_the_header(header: str, is_accepted: bool) -> None:
    assert accepts_gzip(header) is is_accepted


@given(st.text(max_size=60))
def test_accepts_gzip_never_raises(header: str) -> None:
    assert accepts_gzip(header) in (True, False)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_compressed_document_is_that_of_the_input(documents: list[bytes]) -> None:
    encoder = DocumentEncoder()
    for document in (*documents, *documents):
        assert gzip.decompress(encoder.compress(document)) == document
    assert encoder.kept_count <= DocumentEncoder.MAX_KEPT


def test_equal_documents_are_compressed_once() -> None:
    encoder = DocumentEncoder()
    first = encoder.compress(b"<html>" * 100)
    assert encoder.compress(b"<html>" * 100) is first
    assert encoder.kept_count == 1


@pytest.fixture(scope="module")
def app() -> ProtectedApp:
    return ProtectedApp()


async def test_document_is_sent_compressed_to_a_client_that_accepts_it(app: ProtectedApp) -> None:
    async with app.browser_client() as browser:
        plain = await browser.get("/", headers={"Accept-Encoding": "identity"})
        answer = await browser.get("/", headers={"Accept-Encoding": "gzip, deflate, br"})
    assert "content-encoding" not in plain.headers
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < MAX_COMPRESSED_SHARE * int(plain.headers["content-length"])
    assert answer.content == plain.content
    for each in (plain, answer):
        assert "Accept-Encoding" in each.headers["vary"]
        policy = each.headers["content-security-policy"]
        assert all(script in policy for script in hash_inline_scripts(plain.content))


@pytest.mark.parametrize("path", ["/", "/?view=api", "/docs"])
async def test_every_document_with_a_policy_is_whole(app: ProtectedApp, path: str) -> None:
    async with app.browser_client() as browser:
        plain = await browser.get(path, headers={"Accept-Encoding": "identity"})
        answer = await browser.get(path, headers={"Accept-Encoding": "gzip"})
    assert (answer.status_code, answer.content) == (plain.status_code, plain.content)


async def test_login_page_is_whole() -> None:
    async with ProtectedApp(app_password=PASSWORD).browser_client() as browser:
        plain = await browser.get("/", headers={"Accept-Encoding": "identity"})
        answer = await browser.get("/", headers={"Accept-Encoding": "gzip"})
    assert (answer.status_code, answer.content) == (plain.status_code, plain.content)
