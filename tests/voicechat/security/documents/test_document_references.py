"""Document references: manifest, and scripts and links of other hosts, leave the document; nothing else does."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import gradio
from hypothesis import given
from hypothesis import strategies as st

from voicechat.security.document_references import remove_unused_references

GRADIO_DOCUMENT = Path(gradio.__file__).parent / "templates" / "frontend" / "index.html"


class ReferenceParser(HTMLParser):
    """Collects the URLs that the tags `script` and `link` request, as a browser reads them."""

    def __init__(self, document: bytes) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(document.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {"script": "src", "link": "href"}.get(tag)
        self.found += [(value or "").strip() for name, value in attrs if name == wanted]


def is_external(url: str) -> bool:
    return url.lower().startswith(("http:", "https:", "//"))


def test_gradio_document_keeps_only_its_own_references() -> None:
    document = GRADIO_DOCUMENT.read_bytes()
    before, after = ReferenceParser(document).found, ReferenceParser(remove_unused_references(document)).found
    assert any(map(is_external, before)), "the document of Gradio names no other host any more"
    assert after == [url for url in before if not is_external(url) and url != "/manifest.json"]


own = st.sampled_from(["./assets/a.js", "/theme.css", "assets/http://x.js", "data:text/css,a"])
other = st.sampled_from(
    ["https://cdn.example/a.js", "//cdn.example/a.js", "HTTP://cdn.example/a", "https://fonts.example"]
)
spacing = st.sampled_from(["", " ", "\n\t", " async ", ' crossorigin="anonymous" ', ' data-x="a" '])


@st.composite
def references(draw: st.DrawFn) -> tuple[str, str]:
    """Return a tag with a reference, and its URL."""
    url = draw(st.one_of(own, other))
    quote = draw(st.sampled_from(['"', "'"]))
    before, after = draw(spacing), draw(spacing)
    if draw(st.booleans()):
        return f"<script{before} src={quote}{url}{quote}{after}></script>", url
    return f"<link{before} href={quote}{url}{quote}{after}/>", url


@given(
    st.lists(
        st.tuples(references(), st.sampled_from(["", "<p>https://text.example</p>", "<script>let a = '//b'</script>"]))
    )
)
def test_references_of_other_hosts_are_removed(parts: list[tuple[tuple[str, str], str]]) -> None:
    document = "<!doctype html>" + "".join(tag + text for (tag, _), text in parts)
    cleaned = remove_unused_references(document.encode())
    assert ReferenceParser(cleaned).found == [url for (_, url), _ in parts if not is_external(url)]
    for (_, _), text in parts:
        assert text in cleaned.decode()
    assert remove_unused_references(cleaned) == cleaned
