"""Serving of the page by Gradio's own server, as `python app.py` does, until a signal ends the process."""

from __future__ import annotations

import errno
import logging
import sys

import httpx
from gradio.utils import get_space

from network.ports import MAX_PORT, listen_reason, probe_port
from voicechat.ui.i18n import I18N
from voicechat.ui.page import count_queue_workers

from .application import Application, gradio_app_kwargs
from .graceful_shutdown import ShutdownPhase, close_tunnels

log = logging.getLogger(__name__)


def bind_error(host: str, port: int) -> str:
    """Return why no server can listen there, in the system's words; "" when one can. Gradio hides the reason."""
    try:
        probe_port(host, port)
    except OSError as error:
        return bind_reason(error, port)
    return ""


def bind_reason(error: OSError, port: int) -> str:
    """Return why a port cannot be listened on, without a full stop; for one in use also how to take another."""
    if error.errno != errno.EADDRINUSE:
        return listen_reason(error)
    other = port + 1 if port < MAX_PORT else port - 1
    command = f"PORT={other} in .env" if sys.platform == "win32" else f"PORT={other} ./start.sh"
    return f"{listen_reason(error)}. `{command}` uses another one"


def serve_until_shutdown(application: Application) -> None:
    """Serve the page, and block until the shutdown is complete. Raise SystemExit when the port is not available."""
    settings = application.settings
    application.shutdown.install_signal_handlers()
    application.start()
    try:
        _launch(application)
        application.shutdown.wait()
        application.page.close(verbose=False)
        close_tunnels()
    except httpx.TransportError as error:  # Gradio asks its own page for the start
        raise SystemExit(
            f"The page at {settings.host} port {settings.port} does not answer this computer: {type(error).__name__}."
        ) from None
    except OSError as error:
        why = bind_error(settings.host, settings.port) or error.strerror or type(error).__name__
        raise SystemExit(f"The page cannot be served at {settings.host} port {settings.port}: {why}.") from None
    finally:
        application.stop()


def _launch(application: Application) -> None:
    """Start the server of the page. A signal may end it at any moment, also before Gradio has asked it for the page."""
    settings = application.settings
    is_behind_proxy = bool(settings.scale.frontend_host) and not settings.share
    try:
        application.page.launch(
            server_name=settings.host,
            server_port=settings.port,
            share=settings.share and get_space() is None,  # a Space is public already
            root_path=settings.root_path or None,
            prevent_thread_lock=True,
            quiet=is_behind_proxy,  # the address that Gradio prints is not the one of the page
            max_threads=count_queue_workers(settings),  # launch() ignores the page's own value
            ssr_mode=False,  # with it, Gradio's own server answers /health with the page
            i18n=I18N,
            app_kwargs=gradio_app_kwargs(application),
        )
    except (ValueError, httpx.TransportError):  # ValueError: its own page has answered with an error
        if application.shutdown.phase is ShutdownPhase.SERVING:
            raise
        return
    if is_behind_proxy:
        log.info("launch: ready host=%s port=%d", settings.host, settings.port)
    if settings.share and not application.page.share_url:
        log.warning("launch: no public link reason=Gradio's servers cannot be reached, or this is a Space")
