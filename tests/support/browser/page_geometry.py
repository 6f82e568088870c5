"""Geometry of a page: what a visitor cannot reach or read, measured in the page."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from playwright.sync_api import Frame, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

VIEWPORTS = [(360, 740), (390, 844), (768, 1024), (1024, 768), (1280, 800), (1440, 900), (1920, 1080)]
"""Widths and heights, in CSS pixels: phones, tablets, laptops and a large screen."""

LAYOUT_FAULTS_JS = """(selectors) => {
  const faults = [];
  const name = (e) => e.tagName.toLowerCase() + (e.id ? `#${e.id}` : `.${[...e.classList].slice(0, 3).join(".")}`)
    + ` "${(e.getAttribute("aria-label") || e.textContent).trim().slice(0, 30)}"`;
  const visible = (e) => e.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true })
    && !e.closest("[aria-hidden=true], .hidden-text, .skip-link, #read-aloud, [inert]");
  /** The part of a box that no ancestor clips; null if less than 3 pixels are left. */
  const shown = (element, box) => {
    let [left, top, right, bottom] = [Math.max(box.left, 0), Math.max(box.top, 0),
      Math.min(box.right, innerWidth), Math.min(box.bottom, innerHeight)];
    for (let e = element; e && e !== document.body; e = e.parentElement) {
      const style = getComputedStyle(e);
      if (style.clipPath !== "none" || Number(style.opacity) === 0 && e !== element) return null;
      if (style.display !== "contents" && (style.overflowX !== "visible" || style.contain.includes("paint"))) {
        const around = e.getBoundingClientRect();
        [left, top] = [Math.max(left, around.left), Math.max(top, around.top)];
        [right, bottom] = [Math.min(right, around.right), Math.min(bottom, around.bottom)];
      }
      if (style.position === "fixed") break;
    }
    return right - left < 3 || bottom - top < 3 ? null : { left, top, right, bottom };
  };
  /** Does an ancestor cut this line off, without an ellipsis? Only suggestions and code may scroll sideways. */
  const isCutOff = (element, line) => {
    for (let e = element; e; e = e.parentElement) {
      const style = getComputedStyle(e);
      if (e.matches(".rail, pre") || style.textOverflow === "ellipsis") return false;
      if (style.display === "contents" || style.overflowX === "visible") continue;
      const around = e.getBoundingClientRect();
      if (line.left < around.left - 2 || line.right > around.right + 2) return true;
    }
    return line.right > innerWidth + 2;
  };
  const covering = (element, box) => {
    const hit = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
    const related = hit && (hit.contains(element) || element.contains(hit)
      || ["label", "button", "summary"].some((tag) => element.closest(tag)?.contains(hit)));
    return related ? null : hit;
  };

  const { scrollWidth } = document.documentElement;
  if (scrollWidth > innerWidth) faults.push(`scrolls sideways: ${scrollWidth} px`);
  for (const each of document.querySelectorAll("button, input, textarea, select, summary, a[href], [role=tab]")) {
    if (!visible(each)) continue;
    const box = shown(each, each.getBoundingClientRect());
    const by = box && covering(each, box);
    if (by) faults.push(`${name(each)} is covered by ${name(by)}`);
  }
  const lines = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !visible(element)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const rect of range.getClientRects()) {
      const box = shown(element, rect);
      if (!box) continue;
      if (isCutOff(element, rect)) faults.push(`the text ${name(element)} is cut off`);
      const by = covering(element, box);
      if (by) faults.push(`the text ${name(element)} is covered by ${name(by)}`);
      lines.push([element, box]);
    }
  }
  lines.forEach(([one, a], i) => {
    for (const [other, b] of lines.slice(i + 1)) {
      if (one === other || one.contains(other) || other.contains(one)) continue;
      const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (width > 3 && height > 4) faults.push(`the texts ${name(one)} and ${name(other)} overlap`);
    }
  });
  for (const selector of selectors) {
    const element = document.querySelector(selector);
    const box = element?.getBoundingClientRect();
    if (!box?.width || box.left < 0 || box.top < 0 || box.right > innerWidth || box.bottom > innerHeight) {
      faults.push(`${selector} is not inside the window: ${JSON.stringify(box)}`);
    }
  }
  return [...new Set(faults)];
}"""

WHOLE_BUBBLES_JS = """(chat) => {
  const view = document.querySelector(`#${chat}-chat .bubble-wrap`).getBoundingClientRect();
  return [...document.querySelectorAll(`#${chat}-chat .message:is(.user, .bot)`)].filter((each) => {
    const box = each.getBoundingClientRect();
    return box.height > 0 && box.top >= view.top && box.bottom <= view.bottom;
  }).length;
}"""

LONGEST_LINE_JS = """(chat) => {
  let longest = 0;
  for (const paragraph of document.querySelectorAll(`#${chat}-chat [data-testid] p`)) {
    const walker = document.createTreeWalker(paragraph, NodeFilter.SHOW_TEXT);
    const counts = new Map();
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      for (let i = 0; i < node.length; i++) {
        const range = document.createRange();
        range.setStart(node, i);
        range.setEnd(node, i + 1);
        const line = Math.round(range.getBoundingClientRect().top);
        counts.set(line, (counts.get(line) ?? 0) + 1);
      }
    }
    longest = Math.max(longest, ...counts.values());
  }
  return longest;
}"""


@dataclass(frozen=True)
class ConversationGeometry:
    """Conversation of a tab, as shown."""

    whole_bubbles: int
    """Number of bubbles that are wholly in view."""
    longest_line: int
    """Characters of the longest line of text."""


def layout_faults(page: Page | Frame, *inside: str) -> list[str]:
    """Return what is covered, overlaps, or makes the page scroll sideways. `inside`: must be inside the window."""
    faults: list[str] = page.evaluate(LAYOUT_FAULTS_JS, list(inside))
    return faults


def measure_conversation(page: Page | Frame, tab: str, bubbles: int = 0) -> ConversationGeometry:
    """Measure the conversation of a tab, "voice" or "text".

    `bubbles`: whole ones to wait for, because the conversation scrolls to its end after a change of the window's size.
    """
    with suppress(PlaywrightTimeout):  # the measure says how many there are
        page.wait_for_function(f"([tab, bubbles]) => ({WHOLE_BUBBLES_JS})(tab) >= bubbles", arg=[tab, bubbles])
    return ConversationGeometry(page.evaluate(WHOLE_BUBBLES_JS, tab), page.evaluate(LONGEST_LINE_JS, tab))


def settle(page: Page) -> None:
    """Wait until transitions have ended and the page was painted twice."""
    page.evaluate("""async () => {
        const frame = () => new Promise(requestAnimationFrame);
        await frame(); await frame();
        const finite = document.getAnimations().filter((each) => each.effect.getComputedTiming().endTime < Infinity);
        await Promise.allSettled(finite.map((each) => each.finished));
        await frame(); await frame();
    }""")
