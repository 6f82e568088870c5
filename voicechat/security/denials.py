"""Denials: status, code and sentence of every refused request. English for programs, the visitor's language for people.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Denial:
    """Reason for a refused request. `status` is the HTTP status code."""

    status: int
    code: str
    en: str
    zh: str

    def message(self, prefers_chinese: bool) -> str:
        """Return the sentence in the visitor's language."""
        return self.zh if prefers_chinese else self.en


NOT_FOUND = Denial(404, "not_found", "Not found.", "找不到這個網址。")
MALFORMED_REQUEST = Denial(400, "malformed_request", "Invalid request.", "這個請求的格式不正確。")
REQUEST_TOO_LARGE = Denial(413, "request_too_large", "This request is too large.", "這個請求太大了。")
OFFER_TOO_LARGE = Denial(
    413,
    "offer_too_large",
    "The browser's description of the call is too large. Please try again with another browser.",
    "瀏覽器送來的通話描述太大了，請換一個瀏覽器再試一次。",
)
SERVER_ERROR = Denial(500, "server_error", "The server failed. Please try again.", "伺服器出錯了，請再試一次。")
ORIGIN_NOT_ALLOWED = Denial(
    403,
    "origin_not_allowed",
    "Other web pages may not use this app. The administrator can allow them in ALLOWED_ORIGINS.",
    "其他網頁不能使用這個程式；管理員可以用 ALLOWED_ORIGINS 開放。",
)
UNKNOWN_HOST = Denial(
    421,
    "host_not_allowed",
    "Unknown host name. The administrator can add it to ALLOWED_ORIGINS, or set APP_PASSWORD.",
    "這個程式不認得這個網址；管理員可以把它加進 ALLOWED_ORIGINS，或設定 APP_PASSWORD。",
)
NOT_OWNER = Denial(
    403,
    "not_yours",
    "This session belongs to another visitor. Reload the page to start a new one.",
    "這是其他訪客的連線。請重新整理網頁再開始。",
)
PASSWORD_REQUIRED = Denial(
    401,
    "password_required",
    "The password is required again. Please reload the page.",
    "需要再次輸入密碼，請重新整理網頁。",
)
TOKEN_REQUIRED = Denial(
    401,
    "invalid_api_key",
    "This server requires one of its own tokens (API_TOKENS) as the API key. Ask the administrator for one.",
    "這個伺服器要求用它自己的權杖（API_TOKENS）當作 API 金鑰，請向管理員索取。",
)
TOKENS_NOT_CONFIGURED = Denial(
    401,
    "invalid_api_key",
    "This server is password protected. To connect programs, the administrator has to set API_TOKENS.",
    "這個伺服器需要密碼；要讓程式連線，管理員得設定 API_TOKENS。",
)
TOO_MANY_CANDIDATES = Denial(
    429,
    "too_many_candidates",
    "The browser has named too many network addresses for one call.",
    "瀏覽器為一通電話提供的網路位址太多了。",
)
TOO_MANY_OFFERS = Denial(
    503, "busy", "Too many calls are being connected. Please try again.", "正在接通的電話太多，請稍後再試。"
)
