"""Login page: one HTML document without scripts or further files. Pure."""

from __future__ import annotations

from enum import Enum

from voicechat import TITLE


class LoginPrompt(Enum):
    """Reason for asking for the password."""

    INITIAL = "first"
    WRONG_PASSWORD = "wrong"
    RATE_LIMITED = "slower"
    """Too many wrong passwords from this address."""


_TEXTS = {
    False: {
        "lang": "en",
        "label": "Password",
        "button": "Log in",
        LoginPrompt.INITIAL: "This page is password protected.",
        LoginPrompt.WRONG_PASSWORD: "Wrong password.",
        LoginPrompt.RATE_LIMITED: "Too many wrong passwords. Please wait a minute and try again.",
    },
    True: {
        "lang": "zh-Hant-TW",
        "label": "密碼",
        "button": "登入",
        LoginPrompt.INITIAL: "這個網頁需要密碼。",
        LoginPrompt.WRONG_PASSWORD: "密碼不對。",
        LoginPrompt.RATE_LIMITED: "密碼錯太多次了，請等一分鐘再試。",
    },
}
_STYLE = """
:root { color-scheme: light dark; --ink: #1e1b2e; --card: #fffffff2; --accent: #6d28d9; --line: #8b83a8;
  --sky: linear-gradient(135deg, #ede9fe, #e0f2fe 55%, #fce7f3); }
@media (prefers-color-scheme: dark) { :root { --ink: #f1eefb; --card: #1d1930f2; --accent: #7c3aed; --line: #8d84b0;
  --sky: linear-gradient(135deg, #1b1530, #0f1d2e 55%, #2a1327); } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100dvh; display: grid; place-items: center; padding: 16px; background: var(--sky);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Noto Sans TC", "Microsoft JhengHei", sans-serif; }
form { width: min(100%, 360px); padding: 28px; border-radius: 20px; background: var(--card);
  box-shadow: 0 12px 40px #0003; display: grid; gap: 12px; }
h1 { margin: 0; font-size: 1.3rem; } p { margin: 0; }
input, button { font: inherit; padding: 12px 14px; border-radius: 12px; border: 1px solid var(--line); width: 100%; }
input { background: transparent; color: inherit; }
button { border: 0; background: var(--accent); color: #fff; font-weight: 600; cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
"""


def render_login_page(prompt: LoginPrompt, prefers_chinese: bool) -> bytes:
    """Return the document, UTF-8 encoded."""
    text = _TEXTS[prefers_chinese]
    role = ' role="alert"' if prompt is not LoginPrompt.INITIAL else ""
    return (
        f'<!doctype html><html lang="{text["lang"]}"><head><meta charset="utf-8"><title>{TITLE}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        '<link rel="icon" href="data:,">'  # the icon needs the password too
        f'<style>{_STYLE}</style></head><body><form method="post" action="login"><h1>{TITLE}</h1>'
        f'<p id="why"{role}>{text[prompt]}</p><label for="password">{text["label"]}</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password" required autofocus'
        f' maxlength="200" aria-describedby="why"><button>{text["button"]}</button></form></body></html>'
    ).encode()
