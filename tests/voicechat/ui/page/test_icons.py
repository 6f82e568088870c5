"""Icons: one picture for all of them, with a place for each name in use."""

from __future__ import annotations

import re
from urllib.parse import unquote
from xml.etree import ElementTree

from voicechat.ui.widgets.chatbox import STATIC_DIR

STYLES = {path.name: path.read_text("utf-8") for path in sorted((STATIC_DIR / "styles").glob("*.css"))}
UI_DIR = STATIC_DIR.parent
CELL = 24


def sheet() -> ElementTree.Element:
    """Return the picture of all icons."""
    (found,) = re.findall(r'--icons: url\("data:image/svg\+xml,(.*?)"\)', STYLES["icons.css"], re.DOTALL)
    return ElementTree.fromstring(unquote(found.replace("\\\n", "")))


def places() -> dict[str, tuple[int, int]]:
    """Return, for each icon, the numbers of its place: `calc(number / last * 100%)`."""
    found = re.findall(r"--icon-([\w-]+): 0 calc\((\d+) / (\d+) \* 100%\);", STYLES["icons.css"])
    return {name: (int(number), int(last)) for name, number, last in found}


def test_style_sheets_have_one_picture() -> None:
    """A browser builds a document for every SVG picture: 34 of them took 50 ms of a page's start."""
    assert sum(style.count("url(") for style in STYLES.values()) == 1


def test_every_place_has_an_icon_of_the_sheet() -> None:
    picture, last = sheet(), len(places()) - 1
    assert [number for number, _ in places().values()] == list(range(last + 1))
    assert {of for _, of in places().values()} == {last}
    assert picture.attrib["viewBox"] == f"0 0 {CELL} {CELL * len(picture)}" and len(picture) == last + 1
    assert f"--icons-size: 100% {100 * len(picture)}%;" in STYLES["icons.css"]
    for number, cell in enumerate(picture):
        assert cell.attrib.get("transform", "translate(0 0)") == f"translate(0 {CELL * number})" and len(cell)


def test_every_used_icon_has_a_place() -> None:
    sources = [path.read_text("utf-8") for kind in ("py", "js") for path in UI_DIR.rglob(f"*.{kind}")]
    used = {name for source in sources for name in re.findall(r'data-icon="([\w-]+)"', source)}
    used |= {name for style in STYLES.values() for name in re.findall(r"var\(--icon-([\w-]+)\)", style)}
    assert used > {"phone", "send", "microphone-off"}
    assert not used - places().keys()


def test_every_mask_uses_the_sheet() -> None:
    masks = [mask for style in STYLES.values() for mask in re.findall(r"mask(?:-image)?: ([^;}]*--icon[^;}]*)", style)]
    assert len(masks) > 10
    used = [mask for mask in masks if "`" not in mask]
    assert {re.sub(r"--icon-[\w-]+", "--icon", mask) for mask in used} == {
        "var(--icons) var(--icon) / var(--icons-size) no-repeat"
    }
