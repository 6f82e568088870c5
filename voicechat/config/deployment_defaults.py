"""What is sensible by default where the app runs: on a Hugging Face Space, and behind a public link. Pure."""

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
"""On a Space, for anyone in the world: two processors, so no more calls than the embedded server has sessions; calls
and silent chats short enough that the next visitor gets a turn; and an end to what they may spend when a key is among
its secrets. Hugging Face shows the page in a frame of its own, and its proxies have private addresses."""

PUBLIC_LINK_DEFAULTS = {"MAX_VISITOR_SECONDS_PER_DAY": "3600"}
"""With a public link, for those to whom it is given, and to whom they give it."""
TRUE_VALUES = frozenset({"1", "true", "yes", "on"})


def with_deployment_defaults(environ: Mapping[str, str]) -> Mapping[str, str]:
    """`environ` with the defaults of the place it describes; whatever is set in it goes before them.

    A Space is known by SPACE_ID, which Hugging Face sets.
    """
    given = {name: value for name, value in environ.items() if value.strip()}
    if "SPACE_ID" not in given:
        shared = given.get("SHARE", given.get("GRADIO_SHARE", "")).strip().lower() in TRUE_VALUES
        return {**PUBLIC_LINK_DEFAULTS, **given} if shared else environ
    defaults = dict(HF_SPACE_DEFAULTS)
    if "GRADIO_SERVER_NAME" in given:
        del defaults["HOST"]
    return {**defaults, **given}
