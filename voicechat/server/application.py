"""One application: everything that a process owns, built from its settings, and its two ASGI shapes.

`uvicorn app:app` serves `build_asgi_app`; `python app.py` lets Gradio build the ASGI application
(`launch.serve_until_shutdown`). The handler of a call is injected, so that nothing here imports `realtime_handler`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr
from fastapi import FastAPI
from starlette.middleware import Middleware

from voicechat import TITLE, VERSION
from voicechat.config.session_update import SessionMode
from voicechat.config.settings import Endpoint, ServerKind, Settings
from voicechat.gateway.gateway import RealtimeGateway
from voicechat.limits.admission import Admission, AdmissionKind, ConcurrencyLimits
from voicechat.limits.billing import BillingService
from voicechat.limits.pricing import SpendLimits
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.protocol.failures import Failure
from voicechat.security.guard import Guard
from voicechat.server.gradio_patches.error_logging import EXCEPTION_HANDLERS
from voicechat.session import audio_socket_call
from voicechat.session.audio_socket_call import AudioSocketRegistry
from voicechat.session.call_handler import CallHandler, EndpointResolver
from voicechat.session.conversation_store import ConversationStore, InMemoryConversationStore
from voicechat.session.page_resume import PageResume
from voicechat.session.picture_store import PictureStore
from voicechat.tools.runtime import ToolRuntime, build_tool_runtime
from voicechat.transport import udp_check
from voicechat.transport.ice_servers import IceServerProvider
from voicechat.transport.udp_check import UdpCheck
from voicechat.ui import downloads, page_connection, picture_routes, web_app
from voicechat.ui.downloads import Downloads
from voicechat.ui.i18n import I18N
from voicechat.ui.page import build_page
from voicechat.ui.page_connection import PageConnections
from voicechat.ui.picture_routes import PictureRoutes
from voicechat.ui.settings_panel.model_note import EmbeddedModelStatus
from voicechat.upstream.probe import UpstreamProbe

from . import routes
from .access_policy_factory import create_access_policy
from .embedded_server import COMMAND, COMMAND_WITH_DOWNLOAD, EmbeddedServer, EmbeddedServerPhase
from .gc_scheduler import GcScheduler
from .graceful_shutdown import GracefulShutdown
from .offline_pool.backend import EmbeddedBackend
from .offline_pool.pool import OfflinePool
from .prometheus import Metrics
from .replica_status import SharedStateStatus, SlotUse, shared_state_status, slot_use
from .routes import Health, build_router

if TYPE_CHECKING:
    from voicechat.shared_state.services import SharedServices

HandlerFactory = Callable[[Settings, EndpointResolver, Admission, BillingService, ToolRuntime], CallHandler]
"""Create the prototype of all calls: `realtime_handler.RealtimeHandler`."""

ROUTE_RULES = (
    *routes.ROUTE_RULES,
    *udp_check.ROUTE_RULES,
    *downloads.ROUTE_RULES,
    *page_connection.ROUTE_RULES,
    *picture_routes.ROUTE_RULES,
    *web_app.ROUTE_RULES,
    *audio_socket_call.ROUTE_RULES,
)
"""Access rules of the routes that the application adds to Gradio's."""


def open_shared_services(settings: Settings) -> SharedServices | None:
    """Return what is shared with other replicas; None without REDIS_URL. The Redis client is imported with it only."""
    if not settings.scale.redis_url:
        return None
    from voicechat.shared_state.services import SharedServices

    return SharedServices.open(settings)


MIN_OFFLINE_SESSIONS = 1
"""Sessions of the embedded server that are admitted while its capacity is unknown."""


def create_embedded_backend(settings: Settings) -> EmbeddedBackend | None:
    """Return the embedded server of these settings, which is not started yet; None where another server answers."""
    if settings.server_kind is not ServerKind.OFFLINE:
        return None
    if settings.embedded.offline_url:
        return OfflinePool(settings.embedded.offline_url, settings.embedded.offline_key)
    return EmbeddedServer(COMMAND_WITH_DOWNLOAD if settings.fetch_models else COMMAND)


class Application:
    """Owner of all services of one process."""

    def __init__(self, settings: Settings, create_handler: HandlerFactory) -> None:
        self.settings = settings
        self.embedded_server = create_embedded_backend(settings)
        self.downloads = Downloads()
        self.metrics = Metrics()
        self.shared_services = shared = open_shared_services(settings)
        self.replica_id = shared.replica_id if shared else secrets.token_hex(8)
        """Random name of this process."""
        self.admission: Admission = (
            shared.admission if shared else AdmissionController(ConcurrencyLimits.from_settings(settings))
        )
        if self.embedded_server is not None and settings.counts_offline_sessions_later:
            self.admission.set_offline_sessions(MIN_OFFLINE_SESSIONS)
        self.gc_scheduler = GcScheduler(self.admission)
        self.billing = BillingService(
            SpendLimits(settings.max_call_cost, settings.max_day_cost),
            self.metrics,
            visitor_quota_s=settings.limits.max_visitor_seconds_per_day,
            daily_spend=shared.daily_spend if shared else None,
            daily_quota=shared.daily_quota if shared else None,
        )
        self.tools = build_tool_runtime(settings)
        prototype = create_handler(settings, self.resolve_endpoint, self.admission, self.billing, self.tools)
        ice_servers = IceServerProvider(settings.ice, settings.max_call_seconds)
        self.audio_sockets = AudioSocketRegistry(prototype)
        self.pictures = PictureStore()
        self.page_resume = PageResume(create_conversation_store(settings, shared), pictures=self.pictures)
        self.page_connections = PageConnections(lambda: self.admission.count_everywhere().replicas > 1)
        self.page = build_page(
            prototype,
            self.server_status,
            self.model_status,
            self.downloads,
            self.audio_sockets,
            page_resume=self.page_resume,
            offered_tools=lambda: self.tools.registry.definitions,
            picture_store=self.pictures,
            rtc_configuration=ice_servers.rtc_configuration,
        )
        self.gateway = RealtimeGateway(settings, self.resolve_endpoint, self.billing, self.admission)
        self.upstream_probe = None if self.embedded_server else UpstreamProbe(settings.endpoint())
        self.router = build_router(self.health, self.gateway, self.render_metrics if settings.metrics else None)
        self.downloads.add_to(self.router)
        self.page_connections.add_to(self.router)
        PictureRoutes(self.pictures, settings.pictures.max_image_bytes, is_enabled=settings.may_show_pictures).add_to(
            self.router
        )
        web_app.add_to(self.router)
        self.audio_sockets.add_to(self.router)
        UdpCheck(ice_servers.rtc_configuration).add_to(self.router)
        self.shutdown = GracefulShutdown(
            self.admission, settings.limits.drain_seconds, self.page_connections.announce_drain
        )
        self.access_policy = create_access_policy(
            settings,
            self.page,
            ROUTE_RULES,
            lambda: self.page.share_url,
            shared.password_attempts if shared else None,
        )
        self.started_at = time.monotonic()

    def resolve_endpoint(self, own_key: str = "") -> Endpoint | Failure:
        """Return where a call that starts now connects. `own_key`: the visitor's own key, "" without one."""
        embedded = self.embedded_server
        address = embedded.find_address() if embedded is not None else None
        url, key = (address.url, address.key) if address is not None else ("", "")
        endpoint = self.settings.endpoint(url, own_key, offline_key=key)
        if endpoint.kind is ServerKind.OFFLINE:
            if embedded is not None and embedded.phase is EmbeddedServerPhase.UNAVAILABLE:
                return Failure.KEY_NEEDED
            if address is None:
                is_away = embedded is not None and embedded.phase is EmbeddedServerPhase.UNREACHABLE
                return Failure.EMBEDDED_UNREACHABLE if is_away else Failure.LOADING
            return replace(endpoint, observer=address.observer)
        return Failure.DAILY_BUDGET_SPENT if self.billing.is_day_exceeded and not endpoint.has_own_key else endpoint

    def server_status(self, own_key: str = "") -> tuple[str, str | None, str]:
        """Return what the status bar shows outside a call: stage, notice and `Endpoint.name`."""
        endpoint = self.settings.endpoint(own_key=own_key)
        name = endpoint.name
        if self.embedded_server is None or endpoint.has_own_key:
            return "idle", None, name
        if self.embedded_server.phase is EmbeddedServerPhase.FAILED:
            return "failed", "models_missing", name
        if self.embedded_server.phase is EmbeddedServerPhase.UNAVAILABLE:
            return "failed", Failure.KEY_NEEDED, name
        if self.embedded_server.phase is EmbeddedServerPhase.DOWNLOADING:
            return "loading", "models_fetching", name
        if self.embedded_server.phase is EmbeddedServerPhase.UNREACHABLE:
            return "loading", "embedded_unreachable", name
        if self.embedded_server.phase is not EmbeddedServerPhase.READY:
            return "loading", None, name
        languages = self.embedded_server.languages
        only = None if "zh" in languages else "english_only"
        return "idle", only if "en" in languages else "mandarin_only", name

    def model_status(self, own_key: str = "") -> EmbeddedModelStatus:
        """Return the models of the embedded server that a call with this key of the visitor, "" for none, would use."""
        embedded, parts = self.embedded_server, self.settings.embedded
        return EmbeddedModelStatus(
            built_in_model=embedded.model if embedded is not None else "",
            has_own_key=self.settings.endpoint(own_key=own_key).has_own_key,
            llm=parts.llm_scope,
            llm_model=parts.llm_model,
            stt=parts.stt_scope,
            tts=parts.tts_scope,
            news=embedded.news if embedded is not None else (),
            fallbacks=embedded.fallbacks if embedded is not None else frozenset(),
            voices=embedded.voices if embedded is not None else (),
        )

    @property
    def _shared_state(self) -> SharedStateStatus:
        shared = self.shared_services
        return shared_state_status(shared.connection.is_reachable if shared else None)

    def render_metrics(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        if self.embedded_server is not None:
            self.metrics.set_embedded_phase(self.embedded_server.phase)
        self.metrics.set_queue_length(self.admission.queue_length)
        self.metrics.set_shared_state(self.replica_id, self._shared_state, slot_use(self.admission))
        return self.metrics.render()

    async def health(self) -> Health:
        """Return whether the app is ready for conversations, and how many are open."""
        if self.shutdown.is_shutting_down:
            status, detail = "draining", "The app ends, and takes no new conversations."
        elif self.embedded_server is not None:
            failed = dict.fromkeys((EmbeddedServerPhase.FAILED, EmbeddedServerPhase.UNAVAILABLE), "failed")
            known = {EmbeddedServerPhase.READY: "ok", EmbeddedServerPhase.UNREACHABLE: "unreachable", **failed}
            status, detail = known.get(self.embedded_server.phase, "loading"), self.embedded_server.detail
        else:
            detail = await self.upstream_probe.check() if self.upstream_probe else ""
            status = "unreachable" if detail else "ok"
        counts = self.admission.count_everywhere()
        return Health(
            status=status,
            server=self.settings.server_kind,
            model=self.settings.model if self.embedded_server is None else self.embedded_server.model,
            calls=self.admission.count_admitted(AdmissionKind.CALL) + self.gateway.count_sessions(SessionMode.VOICE),
            chats=self.admission.count_admitted(AdmissionKind.CHAT) + self.gateway.count_sessions(SessionMode.TEXT),
            uptime_s=round(time.monotonic() - self.started_at, 1),
            version=VERSION,
            detail=detail,
            replica=self.replica_id,
            shared_state=self._shared_state,
            replicas=counts.replicas,
            slots=slot_use(self.admission),
            waiting=SlotUse(self.admission.queue_length, counts.queued, self.admission.limits.queue_length),
        )

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Run the periodic tasks in this event loop."""
        shared = self.shared_services.run_in_background() if self.shared_services else nullcontext()
        embedded = self.embedded_server
        following = nullcontext() if embedded is None else embedded.run_in_background(self._update_offline_sessions)
        async with (
            shared,
            self.gc_scheduler.run_in_background(),
            self.page_resume.run_in_background(),
            following,
        ):
            yield

    def _update_offline_sessions(self) -> None:
        """Let as many sessions in as the embedded server takes, or as all servers of the pool take together.

        One is admitted while none is ready: that visitor sees why the conversation does not begin, not a queue.
        """
        capacity = self.embedded_server.capacity if self.embedded_server is not None else None
        if capacity is not None:
            self.admission.set_offline_sessions(max(MIN_OFFLINE_SESSIONS, capacity))

    def start(self) -> None:
        """Start the embedded server, if there is one, and the servers of tools."""
        self.tools.start()
        if self.embedded_server is not None:
            self.embedded_server.start()

    def stop(self) -> None:
        """Stop the embedded server, if there is one, and all tools."""
        self.tools.close()
        if self.embedded_server is not None:
            self.embedded_server.stop()


def create_conversation_store(settings: Settings, shared: SharedServices | None) -> ConversationStore:
    """Return the store of closed pages, and of open ones where replicas share them."""
    ttl_s = 60.0 * settings.resume_minutes
    local = InMemoryConversationStore(ttl_s)
    if shared is None or not settings.scale.handover or not ttl_s:
        return local
    from voicechat.shared_state.conversations.redis_conversation_store import RedisConversationStore

    return RedisConversationStore(shared.connection, shared.names, local, ttl_s)


def build_asgi_app(application: Application) -> FastAPI:
    """Return the ASGI application: our routes first, the page at the root."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        application.start()
        async with application.run_in_background():
            yield
        application.stop()

    # FastAPI's documentation pages load scripts from another host. `routes.py` serves one without scripts.
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
        app_kwargs={"exception_handlers": EXCEPTION_HANDLERS},
    )
    return app


def gradio_app_kwargs(application: Application) -> dict[str, Any]:
    """Return the arguments with which Gradio's `launch()` builds its ASGI application."""
    return {
        "routes": application.router.routes,
        "openapi_url": None,
        "exception_handlers": EXCEPTION_HANDLERS,
        "middleware": [Middleware(Guard, access_policy=application.access_policy)],
        "lifespan": lambda _: application.run_in_background(),
    }
