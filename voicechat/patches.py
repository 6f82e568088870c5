"""Installation of all patches of other packages, at one place. `patched_internals` lists their targets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import uvicorn

from voicechat.server.gradio_patches import (
    cross_origin,
    disconnect_polling,
    error_logging,
    server_start,
    session_retention,
    stream_close,
    streaming_diffs,
)
from voicechat.transport.audio_track import install_track
from voicechat.transport.ice_limits import install_ice_limits
from voicechat.transport.jitter_buffer import install_jitter_buffer
from voicechat.transport.rtp_fast_path import install_rtp_fast_path
from voicechat.transport.sctp_limits import install_sctp_limits
from voicechat.upstream import proxy_login

from .dependency_checks import DependencyChanged
from .patched_internals import INTERNAL_USES
from .server import uvicorn_options

log = logging.getLogger(__name__)


def install_patches(on_server_start: Callable[[uvicorn.Server], None], max_message_bytes: int) -> None:
    """Replace the internals of other packages. Log each patch that steps back, and what is lost with it.

    `on_server_start` and `max_message_bytes`: as in `uvicorn_options.install`.
    """
    for install in (
        install_jitter_buffer,
        install_track,
        install_rtp_fast_path,
        cross_origin.install,
        install_ice_limits,
        install_sctp_limits,
        disconnect_polling.install,
        error_logging.install,
        server_start.install,
        session_retention.install,
        stream_close.install,
        streaming_diffs.install,
        proxy_login.install,
        partial(uvicorn_options.install, on_server_start, max_message_bytes),
    ):
        try:
            install()
        except DependencyChanged as error:
            lost = next((use.lost_when_skipped for use in INTERNAL_USES if error.target in use.sha256), "unknown")
            log.warning("patches: skipped target=%s reason=%s lost=%s", error.target, error.reason, lost)
