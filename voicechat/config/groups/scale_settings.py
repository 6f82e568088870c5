"""Settings of several replicas of the app. `voicechat/shared_state` uses them."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, ValidationInfo

from voicechat.config.env_values import SettingsError, setting, variable_of
from voicechat.config.settings_base import SettingsBase

REDIS_SCHEMES = ("redis", "rediss", "unix")
MAX_REDIS_URL_CHARS = 1000
"""Characters of REDIS_URL."""
MAX_REPLICAS = 10_000
"""Replicas of a deployment, at most."""
MAX_WORKERS = 64
"""Replicas on one computer, at most."""
_DATABASE = re.compile(r"/?|/[0-9]{1,5}")
_PREFIX = re.compile(r"[A-Za-z0-9_.-]{1,40}")


def _validate_redis_url(value: str, info: ValidationInfo) -> str:
    """Return the address. The error does not repeat it: it may hold a password."""
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 raises ValueError for a port that is not a number
        if parts.scheme == "unix":
            is_valid = bool(parts.path)
        else:  # the client would use database 0 in place of one that is not a number
            is_valid = parts.scheme in REDIS_SCHEMES and bool(parts.hostname) and bool(_DATABASE.fullmatch(parts.path))
    except ValueError:
        is_valid = False
    if value and not (is_valid and len(value) <= MAX_REDIS_URL_CHARS):
        raise SettingsError(
            f"{variable_of(info)} must be an address like redis://host:6379/0 or unix:///run/redis.sock."
        )
    return value


def _validate_prefix(value: str, info: ValidationInfo) -> str:
    if not _PREFIX.fullmatch(value):
        raise SettingsError(f"{variable_of(info)} must be 1 to 40 letters, digits, dots, hyphens or underscores.")
    return value


class ScaleSettings(SettingsBase):
    """State that several replicas share."""

    TITLES: ClassVar = ("Several replicas", "多個執行個體")

    redis_url: Annotated[str, AfterValidator(_validate_redis_url)] = setting(
        "",
        "Redis 或 Valkey 的位址。多個執行個體用它共用名額、排隊、當日費用、訪客秒數、密碼錯誤次數和對話；"
        "不設定就只記在這個程式的記憶體裡。",
        secret=True,
        example="redis://127.0.0.1:6379/0",
    )
    """Address of a Redis or Valkey server. Replicas share slots, the waiting queue, the day's spending, visitors'
    seconds, wrong passwords and conversations over it. Without it they are kept in the memory of this process."""
    redis_prefix: Annotated[str, AfterValidator(_validate_prefix)] = setting(
        "voice", "Redis 裡所有鍵的前綴。同一台 Redis 上的不同部署要用不同的前綴。"
    )
    """Prefix of all keys in Redis. Deployments that use the same Redis need different ones."""
    handover: bool = setting(
        True,
        "把進行中的對話也存進 Redis，這樣某個執行個體當掉時，網頁可以在另一個接著用。"
        "內容用只有瀏覽器知道的金鑰加密，保留 RESUME_MINUTES 分鐘。",
    )
    """Keeps conversations in Redis too, so that a page goes on at another replica when its own one has died. They are
    encrypted with a key that only the browser has, and are kept for RESUME_MINUTES."""
    workers: int = setting(
        1,
        "`start.sh` 在這台電腦上啟動幾個執行個體。2 個以上時，會用系統的 HAProxy 和 Redis，並共用一個內建伺服器；"
        "`python app.py` 一律只有一個。",
        ge=1,
        le=MAX_WORKERS,
    )
    """Replicas that start.sh runs on this computer. With 2 or more it uses the system's HAProxy and Redis, and one
    embedded server for all. `python app.py` is always one."""
    replicas: int = setting(
        1,
        "這個部署有幾個執行個體。啟動時 Redis 沒有回應，每個執行個體就只用各項上限的這個等分；"
        "Redis 回應過之後，以它看到的數目為準。設了 `WORKERS` 會自動填好。",
        ge=1,
        le=MAX_REPLICAS,
    )
    """Replicas of this deployment. While Redis has not answered since the start, each one uses this share of each
    limit. Afterwards the number that Redis saw counts. WORKERS sets it by itself."""
    replica_port: int = setting(
        0,
        "設了 `WORKERS` 時，第一個執行個體在 127.0.0.1 上的連接埠，其他的依序往後；預設是 `PORT` 的下一個。"
        "每個執行個體在自己的連接埠提供 `/metrics`。",
        ge=0,
        le=65_535,
        example="7861",
    )
    """Port of the first replica that WORKERS runs, on loopback; the others follow. Default: the port after PORT. Each
    replica serves its own /metrics there."""
    frontend_host: str = setting(
        "",
        "這台電腦上的反向代理在哪個位址提供網頁；依它來決定接受哪些主機名稱，預設和 `HOST` 相同。"
        "設了 `WORKERS` 會自動填好。",
        max_length=255,
        example="0.0.0.0",
    )
    """Address at which a reverse proxy on this computer serves the page. It decides which host names are accepted.
    Default: HOST. WORKERS sets it by itself."""
