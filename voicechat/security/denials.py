"""The one sentence for whoever is not let in: for people in their language, for programs in English. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a request is not served. `status` is HTTP's."""

    status: int
    code: str
    en: str
    zh: str

    def message(self, prefers_chinese: bool) -> str:
        return self.zh if prefers_chinese else self.en


NOT_FOUND = Denial(404, "not_found", "There is nothing here.", "這裡沒有東西。")
MALFORMED_REQUEST = Denial(400, "malformed_request", "This request makes no sense here.", "這個請求看不懂。")
REQUEST_TOO_LARGE = Denial(413, "request_too_large", "This request is too large.", "這個請求太大了。")
SERVER_ERROR = Denial(500, "server_error", "The server failed. Please try again.", "伺服器出錯了，請再試一次。")
ORIGIN_NOT_ALLOWED = Denial(
    403,
    "origin_not_allowed",
    "Another web page may not use this app. Whoever runs it can allow that with ALLOWED_ORIGINS.",
    "別的網頁不能使用這個程式；架設的人可以用 ALLOWED_ORIGINS 開放。",
)
UNKNOWN_HOST = Denial(
    421,
    "host_not_allowed",
    "This app does not know itself by that name. Whoever runs it can name it in ALLOWED_ORIGINS, or set APP_PASSWORD.",
    "這個程式不認得這個網址；架設的人可以寫進 ALLOWED_ORIGINS，或設定 APP_PASSWORD。",
)
NOT_OWNER = Denial(
    403,
    "not_yours",
    "This belongs to another visitor. Reload the page to begin anew.",
    "這是別的訪客的。請重新整理網頁再開始。",
)
PASSWORD_REQUIRED = Denial(
    401, "password_required", "The password is asked for again: reload the page.", "要重新輸入密碼：請重新整理網頁。"
)
TOKEN_REQUIRED = Denial(
    401,
    "invalid_api_key",
    "This server wants one of its own tokens (API_TOKENS) where the API key goes: ask whoever runs it.",
    "這個伺服器要求在 API 金鑰的位置帶上它自己的權杖（API_TOKENS）：請洽架設的人。",
)
TOKENS_NOT_CONFIGURED = Denial(
    401,
    "invalid_api_key",
    "This server is for people with its password; for programs, whoever runs it has to set API_TOKENS.",
    "這個伺服器需要密碼；要讓程式連線，架設的人得設定 API_TOKENS。",
)
TOO_MANY_OFFERS = Denial(
    503, "busy", "Too many calls are just beginning. Please try again.", "正在接通的電話太多，請稍後再試。"
)
