"""Realtime Voice Chat: the front door.

`python app.py` serves the page (also with a public share link, and on Hugging Face Spaces); `uvicorn app:app` serves
the same page under any ASGI server. With no key set, the embedded Realtime server is started beside it.
"""

from __future__ import annotations

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # nothing leaves this computer on its own account

import logging
import socket
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
import pandas  # noqa: F401  Gradio imports it at the first event: over a second of stutter in the first call
from fastapi import FastAPI
from starlette.middleware import Middleware

from realtime_handler import RealtimeHandler
from voicechat import TITLE, VERSION
from voicechat.config.session_update import SessionMode
from voicechat.config.settings import Endpoint, ServerKind, Settings, SettingsError
from voicechat.gateway.gateway import RealtimeGateway
from voicechat.limits.budget import BillingService
from voicechat.limits.pricing import SpendLimits
from voicechat.limits.waiting_queue import AdmissionController, AdmissionKind, ConcurrencyLimits
from voicechat.logs import quiet_loggers
from voicechat.server import uvicorn_options
from voicechat.server.access_policy_factory import Guard, create_access_policy
from voicechat.server.gc_scheduler import GcScheduler
from voicechat.server.graceful_shutdown import GracefulShutdown, close_tunnels
from voicechat.server.gradio_patches import disconnect_polling, error_logging, session_retention, stream_close
from voicechat.server.offline_process import COMMAND, COMMAND_WITH_DOWNLOAD, EmbeddedServer, EmbeddedServerPhase
from voicechat.server.prometheus import Metrics
from voicechat.server.routes import Health, build_router
from voicechat.session.websocket_call import AudioSocketRegistry
from voicechat.transport.ice_servers import IceServerProvider
from voicechat.transport.udp_check import UdpCheck
from voicechat.ui.downloads import Downloads
from voicechat.ui.i18n import I18N
from voicechat.ui.page import build_page, count_queue_workers
from voicechat.upstream.connection import Failure
from voicechat.upstream.probe import UpstreamProbe

log = logging.getLogger("app")
# About Gradio 6, which fastrtc does not run on; said to whoever starts the app, who can do nothing about it.
warnings.filterwarnings("ignore", "Setting 'api_name=False'", DeprecationWarning)


class Application:
    """Everything one process owns, put together from its settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        command = COMMAND_WITH_DOWNLOAD if settings.fetch_models else COMMAND
        self.embedded_server = EmbeddedServer(command) if settings.server_kind is ServerKind.OFFLINE else None
        self.admission = AdmissionController(ConcurrencyLimits.from_settings(settings))
        self.gc_scheduler = GcScheduler(self.admission)
        self.downloads = Downloads()
        self.metrics = Metrics()
        self.billing = BillingService(
            SpendLimits(settings.max_call_cost, settings.max_day_cost),
            self.metrics,
            visitor_quota_s=settings.limits.max_visitor_seconds_per_day,
        )
        prototype = RealtimeHandler(settings, self.resolve_endpoint, self.admission, self.billing)
        turn = IceServerProvider(settings.ice, settings.max_call_seconds)
        self.audio_sockets = AudioSocketRegistry(prototype)
        self.page = build_page(
            prototype,
            self.server_status,
            self.downloads,
            self.audio_sockets,
            rtc_configuration=turn.rtc_configuration,
        )
        self.gateway = RealtimeGateway(settings, self.resolve_endpoint, self.billing, self.admission)
        self.upstream_probe = None if self.embedded_server else UpstreamProbe(settings.endpoint())
        self.router = build_router(self.health, self.gateway, self.render_metrics if settings.metrics else None)
        self.downloads.add_to(self.router)
        self.audio_sockets.add_to(self.router)
        UdpCheck(turn.rtc_configuration).add_to(self.router)
        self.shutdown = GracefulShutdown(self.admission, settings.limits.drain_seconds)
        self.access_policy = create_access_policy(settings, self.page, lambda: self.page.share_url)
        self.started_at = time.monotonic()

    def resolve_endpoint(self, own_key: str = "") -> Endpoint | Failure:
        """Where a call that starts now is to connect; `own_key` is the visitor's, "" for none."""
        address = self.embedded_server.url if self.embedded_server is not None else None
        endpoint = self.settings.endpoint(address or "", own_key)
        if endpoint.kind is ServerKind.OFFLINE:
            return Failure.LOADING if address is None else endpoint
        return Failure.DAILY_BUDGET_SPENT if self.billing.is_day_exceeded and not endpoint.has_visitor_key else endpoint

    def server_status(self, own_key: str = "") -> tuple[str, str | None, str]:
        """For the status bar outside a call: stage, notice, `Endpoint.name`."""
        endpoint = self.settings.endpoint(own_key=own_key)
        name = endpoint.name
        if self.embedded_server is None or endpoint.has_visitor_key:
            return "idle", None, name
        if self.embedded_server.phase is EmbeddedServerPhase.FAILED:
            return "failed", "models_missing", name
        if self.embedded_server.phase is EmbeddedServerPhase.DOWNLOADING:
            return "loading", "models_fetching", name
        if self.embedded_server.phase is not EmbeddedServerPhase.READY:
            return "loading", None, name
        return "idle", None if "zh" in self.embedded_server.languages else "english_only", name

    def render_metrics(self) -> bytes:
        """What happens here, for Prometheus."""
        if self.embedded_server is not None:
            self.metrics.set_embedded_phase(self.embedded_server.phase)
        self.metrics.set_queue_length(self.admission.queue_length)
        return self.metrics.render()

    async def health(self) -> Health:
        """Whether conversations can be held, and how many are."""
        if self.shutdown.is_shutting_down:
            status, detail = "draining", "The app ends, and takes no new conversations."
        elif self.embedded_server is not None:
            ready = {EmbeddedServerPhase.READY: "ok", EmbeddedServerPhase.FAILED: "failed"}
            status, detail = ready.get(self.embedded_server.phase, "loading"), self.embedded_server.detail
        else:
            detail = await self.upstream_probe.check() if self.upstream_probe else ""
            status = "unreachable" if detail else "ok"
        return Health(
            status=status,
            server=self.settings.server_kind,
            model=self.settings.model if self.embedded_server is None else self.embedded_server.model,
            calls=self.admission.count_admitted(AdmissionKind.CALL) + self.gateway.count_sessions(SessionMode.VOICE),
            chats=self.admission.count_admitted(AdmissionKind.CHAT) + self.gateway.count_sessions(SessionMode.TEXT),
            uptime_s=round(time.monotonic() - self.started_at, 1),
            version=VERSION,
            detail=detail,
        )

    def start(self) -> None:
        if self.embedded_server is not None:
            self.embedded_server.start()

    def stop(self) -> None:
        if self.embedded_server is not None:
            self.embedded_server.stop()


def build_asgi_app(application: Application) -> FastAPI:
    """The ASGI application: our routes first, the page at the root."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        application.start()
        async with application.gc_scheduler.run_in_background():
            yield
        application.stop()

    # No documentation pages of FastAPI's: they are drawn by scripts from another host. `voicechat/server/routes.py` has one.
    api = FastAPI(title=TITLE, version=VERSION, lifespan=lifespan, openapi_url=None)
    api.include_router(application.router)
    api.add_middleware(Guard, access_policy=application.access_policy)
    root_path = application.settings.root_path or None
    app: FastAPI = gr.mount_gradio_app(
        api,
        application.page,
        path="/",
        ssr_mode=False,
        i18n=I18N,
        root_path=root_path,
        app_kwargs={"exception_handlers": error_logging.EXCEPTION_HANDLERS},
    )
    return app


try:
    settings = Settings.load()
except SettingsError as error:
    raise SystemExit(str(error)) from None
logging.basicConfig(
    level=logging.DEBUG if settings.debug else logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
)
logging.getLogger("httpx").setLevel(logging.WARNING)
quiet_loggers()
disconnect_polling.install()
error_logging.install()
session_retention.install()
stream_close.install()
application = Application(settings)
uvicorn_options.install(application.shutdown.attach_server, settings.limits.max_message_bytes)
app = build_asgi_app(application)


def gradio_app_kwargs(application: Application) -> dict[str, Any]:
    """What Gradio makes its own ASGI application with, where it serves the page itself."""
    return {
        "routes": application.router.routes,
        "openapi_url": None,
        "exception_handlers": error_logging.EXCEPTION_HANDLERS,
        "middleware": [Middleware(Guard, access_policy=application.access_policy)],
        "lifespan": lambda _: application.gc_scheduler.run_in_background(),
    }


def bind_error(host: str, port: int) -> str:
    """Why a server cannot listen there, in the system's words; "" when one can. Gradio does not tell."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        number = error.errno or 0  # below 0: no such host, which has words of its own
        return os.strerror(number) if number > 0 else error.strerror or type(error).__name__
    return ""


def main() -> None:
    application.shutdown.install_signal_handlers()
    application.start()
    try:
        application.page.launch(
            server_name=settings.host,
            server_port=settings.port,
            share=settings.share,
            root_path=settings.root_path or None,
            prevent_thread_lock=True,
            max_threads=count_queue_workers(application.settings),  # launch() forgets what the page says
            ssr_mode=False,  # with it, Gradio's own server answers /health with the page
            i18n=I18N,
            app_kwargs=gradio_app_kwargs(application),
        )
        if settings.share and not application.page.share_url:
            log.warning("There is no public link: Gradio's servers cannot be reached from here, or this is a Space.")
        application.shutdown.wait()
        application.page.close(verbose=False)
        close_tunnels()
    except OSError as error:
        why = bind_error(settings.host, settings.port) or error.strerror or type(error).__name__
        raise SystemExit(f"The page cannot be served at {settings.host} port {settings.port}: {why}.") from None
    finally:
        application.stop()


if __name__ == "__main__":
    main()
