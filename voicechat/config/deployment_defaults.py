"""Defaults of settings on a Hugging Face Space and behind a public link. Pure."""

from __future__ import annotations

from collections.abc import Mapping

HF_SPACE_DEFAULTS = {
    "HOST": "0.0.0.0",
    "FETCH_MODELS": "true",
    "MAX_CALLS": "2",
    "MAX_CHATS": "8",
    "MAX_SOCKETS": "4",
    "MAX_WAITING": "4",
    "MAX_VISITOR_SECONDS_PER_DAY": "3600",
    "MAX_CALL_SECONDS": "300",
    "MAX_RECORDING_SECONDS": "300",
    "IDLE_SECONDS": "60",
    "CHAT_IDLE_SECONDS": "180",
    "MAX_CALL_COST": "0.5",
    "MAX_DAY_COST": "5",
    "METRICS": "false",
    "FRAME_ANCESTORS": "https://huggingface.co",
    "TRUSTED_PROXIES": "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16",
}
"""Variables on a Space, which is open to the world and has two processors.

Calls are as many as the embedded server has sessions, and short, so that the next visitor is served soon. The cost
limits protect a key among the Space's secrets. Hugging Face shows the page in a frame, and its proxies have private
addresses.
"""

PUBLIC_LINK_DEFAULTS = {"MAX_VISITOR_SECONDS_PER_DAY": "3600"}
"""Variables with a public link, which people may pass on."""
TRUE_VALUES = frozenset({"1", "true", "t", "yes", "y", "on"})
"""Texts that pydantic reads as true, in lower case."""


def is_public_space(environ: Mapping[str, str]) -> bool:
    """Return whether this is a Hugging Face Space, which is open to the world. Hugging Face sets SPACE_ID on it."""
    return bool(environ.get("SPACE_ID", "").strip())


def with_deployment_defaults(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return `environ` with the defaults of the deployment it describes. Variables that are set take precedence."""
    given = {name: value for name, value in environ.items() if value.strip()}
    if not is_public_space(given):
        shared = given.get("SHARE", given.get("GRADIO_SHARE", "")).strip().lower() in TRUE_VALUES
        return {**PUBLIC_LINK_DEFAULTS, **given} if shared else environ
    defaults = dict(HF_SPACE_DEFAULTS)
    if "GRADIO_SERVER_NAME" in given:
        del defaults["HOST"]
    return {**defaults, **given}
