"""Layout shifts of a page, as the browser measures them (Layout Instability API), and parts that have to stay put."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Page

RECORD_SHIFTS_SCRIPT = """(() => {
  const found = (window.layoutShifts = []);
  const toElement = (node) => (node instanceof Element ? node : node?.parentElement);
  const describe = ({ node, previousRect: a, currentRect: b }) => {
    const element = toElement(node);
    const named = element?.closest("[id]");
    const box = (each) => [each.x, each.y, each.width, each.height].map(Math.round).join(" ");
    return `${named ? `#${named.id} ` : ""}${element?.localName ?? "removed"} from ${box(a)} to ${box(b)}`;
  };
  /** A conversation that grows at its end moves its earlier messages up, as scrolling does. The growing message and its
   * answer are the last two. */
  const isGrowth = ({ node, previousRect: a, currentRect: b }) => {
    if (!node) return isFirstLine(a, b);
    const row = toElement(node)?.closest(".message-row");
    const rows = [...(row?.closest(".message-wrap")?.querySelectorAll(".message-row") ?? [])];
    if (!row) return false;
    if (!b.width || !b.height) return true; // out of sight
    if (b.y > a.y + 1) return false;
    return rows.slice(-2).includes(row) || (Math.abs(a.x - b.x) < 1 && Math.abs(a.width - b.width) < 1);
  };
  /** The line above the first message moves with the messages. It is a pseudo-element: the browser names no node. */
  const isFirstLine = (a, b) => {
    const list = document.querySelector(":root[data-line-start] #voice-chat .message-wrap")?.getBoundingClientRect();
    const isCentred = list && Math.abs(a.x + a.width / 2 - (list.x + list.width / 2)) < 2;
    const first = document.querySelector("#voice-chat .message-row")?.getBoundingClientRect();
    const isAbove = !first || b.y <= first.y;
    const isScrolled = !b.height || (b.y < a.y && b.x === a.x && b.width === a.width);
    return Boolean(isCentred) && a.height < 24 && isAbove && isScrolled;
  };
  const take = (entries) => {
    for (const { value, hadRecentInput, sources } of entries) {
      const isGrowing = sources.length > 0 && sources.every(isGrowth);
      found.push({ value, hadRecentInput, isGrowth: isGrowing, moved: sources.map(describe) });
    }
  };
  const observer = new PerformanceObserver((list) => take(list.getEntries()));
  observer.observe({ type: "layout-shift", buffered: true });
  window.takeLayoutShifts = () => {
    take(observer.takeRecords());
    return found;
  };
})();"""
"""Script to run before the page's own: `takeLayoutShifts()` returns all shifts so far."""

WATCH_PLACES_SCRIPT = """(selectors) => {
  const boxOf = (selector) => {
    const { x, y, width, height } = document.querySelector(selector).getBoundingClientRect();
    return [x, y, width, height].map(Math.round).join(" ");
  };
  const first = new Map(selectors.map((selector) => [selector, boxOf(selector)]));
  const moved = (window.movedParts = new Set());
  const look = () => {
    for (const [selector, box] of first) {
      const now = boxOf(selector);
      if (now !== box) moved.add(`${selector} from ${box} to ${now}`);
    }
    window.watchedFrames = (window.watchedFrames ?? 0) + 1;
    requestAnimationFrame(look);
  };
  look();
}"""


@dataclass(frozen=True)
class LayoutShift:
    """One layout shift."""

    score: float
    """Score of the browser: 1 is the whole window moved by its larger dimension."""
    had_recent_input: bool
    """A press or a key came at most 0.5 s before."""
    is_growth: bool
    """Only messages moved: up, because the conversation grew at its end, or while they grew themselves."""
    moved: tuple[str, ...]
    """Moved elements, at most five, each with its old and new place."""


def recorded_shifts(page: Page) -> list[LayoutShift]:
    """Return all layout shifts of a page that was opened with `RECORD_SHIFTS_SCRIPT`."""
    return [
        LayoutShift(each["value"], each["hadRecentInput"], each["isGrowth"], tuple(each["moved"]))
        for each in page.evaluate("takeLayoutShifts()")
    ]


def watch_places(page: Page, *selectors: str) -> None:
    """Look at the places of these elements in every frame from now on."""
    page.evaluate(WATCH_PLACES_SCRIPT, list(selectors))


def moved_parts(page: Page) -> list[str]:
    """Return which of the watched elements have left their places. Fails if no frame was drawn."""
    assert page.evaluate("window.watchedFrames") > 1
    found: list[str] = page.evaluate("[...window.movedParts]")
    return found
