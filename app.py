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

from realtime.accounts import Accounts
from realtime.connection import Failure
from realtime.places import Kind, Limits, Places
from realtime.session import Mode
from realtime.settings import Endpoint, ServerKind, Settings, SettingsError
from realtime.usage import Caps
from realtime_handler import VoiceCall
from web import VERSION, gradio_log, gradio_memory, last_word, polling, server_options
from web.downloads import Downloads
from web.embedded import COMMAND, FETCHING_COMMAND, EmbeddedServer, Phase
from web.ending import Ending, end_tunnels
from web.garbage import Garbage
from web.guard import Guard, porter_for
from web.metrics import Metrics
from web.page import build_page, workers
from web.reachability import Reachability
from web.relay import Relay
from web.routes import TITLE, Health, routes
from web.texts import I18N
from web.turn import Turn
from web.udp_check import UdpCheck
from web.voice_socket import VoiceSockets
from webrtc_edge import quiet_loggers

log = logging.getLogger("app")
# About Gradio 6, which fastrtc does not run on; said to whoever starts the app, who can do nothing about it.
warnings.filterwarnings("ignore", "Setting 'api_name=False'", DeprecationWarning)


class House:
    """Everything one process owns, put together from its settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        command = FETCHING_COMMAND if settings.fetch_models else COMMAND
        self.embedded = EmbeddedServer(command) if settings.kind is ServerKind.OFFLINE else None
        self.places = Places(Limits.of(settings))
        self.garbage = Garbage(self.places)
        self.downloads = Downloads()
        self.metrics = Metrics()
        self.accounts = Accounts(
            Caps(settings.max_call_cost, settings.max_day_cost),
            self.metrics,
            visitor_day_s=settings.places.max_visitor_seconds_per_day,
        )
        prototype = VoiceCall(settings, self.endpoint, self.places, self.accounts)
        turn = Turn(settings.turn, settings.max_call_seconds)
        self.sockets = VoiceSockets(prototype)
        self.page = build_page(
            prototype,
            self.server_line,
            self.downloads,
            self.sockets,
            rtc_configuration=turn.rtc_configuration,
        )
        self.relay = Relay(settings, self.endpoint, self.accounts, self.places)
        self.reachability = None if self.embedded else Reachability(settings.endpoint())
        self.router = routes(self.health, self.relay, self.figures if settings.metrics else None)
        self.downloads.add_to(self.router)
        self.sockets.add_to(self.router)
        UdpCheck(turn.rtc_configuration).add_to(self.router)
        self.ending = Ending(self.places, settings.places.drain_seconds)
        self.porter = porter_for(settings, self.page, lambda: self.page.share_url)
        self.born = time.monotonic()

    def endpoint(self, own_key: str = "") -> Endpoint | Failure:
        """Where a call that starts now is to connect; `own_key` is the visitor's, "" for none."""
        address = self.embedded.url if self.embedded is not None else None
        endpoint = self.settings.endpoint(address or "", own_key)
        if endpoint.kind is ServerKind.OFFLINE:
            return Failure.LOADING if address is None else endpoint
        return Failure.DAY_SPENT if self.accounts.day_spent and not endpoint.own_key else endpoint

    def server_line(self, own_key: str = "") -> tuple[str, str | None, str]:
        """For the status bar outside a call: stage, notice, `Endpoint.name`."""
        endpoint = self.settings.endpoint(own_key=own_key)
        name = endpoint.name
        if self.embedded is None or endpoint.own_key:
            return "idle", None, name
        if self.embedded.phase is Phase.FAILED:
            return "failed", "models_missing", name
        if self.embedded.phase is Phase.FETCHING:
            return "loading", "models_fetching", name
        if self.embedded.phase is not Phase.READY:
            return "loading", None, name
        return "idle", None if "zh" in self.embedded.languages else "english_only", name

    def figures(self) -> bytes:
        """What happens here, for Prometheus."""
        if self.embedded is not None:
            self.metrics.embedded(self.embedded.phase)
        self.metrics.waiting(self.places.waiting)
        return self.metrics.render()

    async def health(self) -> Health:
        """Whether conversations can be held, and how many are."""
        if self.ending.has_begun:
            status, detail = "draining", "The app ends, and takes no new conversations."
        elif self.embedded is not None:
            ready = {Phase.READY: "ok", Phase.FAILED: "failed"}
            status, detail = ready.get(self.embedded.phase, "loading"), self.embedded.detail
        else:
            detail = await self.reachability.problem() if self.reachability else ""
            status = "unreachable" if detail else "ok"
        return Health(
            status=status,
            server=self.settings.kind,
            model=self.settings.model if self.embedded is None else self.embedded.model,
            calls=self.places.live(Kind.CALL) + self.relay.live(Mode.VOICE),
            chats=self.places.live(Kind.CHAT) + self.relay.live(Mode.TEXT),
            uptime_s=round(time.monotonic() - self.born, 1),
            version=VERSION,
            detail=detail,
        )

    def start(self) -> None:
        if self.embedded is not None:
            self.embedded.start()

    def stop(self) -> None:
        if self.embedded is not None:
            self.embedded.stop()


def build(house: House) -> FastAPI:
    """The ASGI application: our routes first, the page at the root."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        house.start()
        async with house.garbage.watched():
            yield
        house.stop()

    # No documentation pages of FastAPI's: they are drawn by scripts from another host. `web/routes.py` has one.
    api = FastAPI(title=TITLE, version=VERSION, lifespan=lifespan, openapi_url=None)
    api.include_router(house.router)
    api.add_middleware(Guard, porter=house.porter)
    root_path = house.settings.root_path or None
    app: FastAPI = gr.mount_gradio_app(
        api,
        house.page,
        path="/",
        ssr_mode=False,
        i18n=I18N,
        root_path=root_path,
        app_kwargs={"exception_handlers": gradio_log.REFUSALS},
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
polling.install()
gradio_log.install()
gradio_memory.install()
last_word.install()
house = House(settings)
server_options.install(house.ending.serves, settings.places.max_message_bytes)
app = build(house)


def launched(house: House) -> dict[str, Any]:
    """What Gradio makes its own ASGI application with, where it serves the page itself."""
    return {
        "routes": house.router.routes,
        "openapi_url": None,
        "exception_handlers": gradio_log.REFUSALS,
        "middleware": [Middleware(Guard, porter=house.porter)],
        "lifespan": lambda _: house.garbage.watched(),
    }


def cannot_listen(host: str, port: int) -> str:
    """Why a server cannot listen there, in the system's words; "" when one can. Gradio does not tell."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        number = error.errno or 0  # below 0: no such host, which has words of its own
        return os.strerror(number) if number > 0 else error.strerror or type(error).__name__
    return ""


def main() -> None:
    house.ending.listen()
    house.start()
    try:
        house.page.launch(
            server_name=settings.host,
            server_port=settings.port,
            share=settings.share,
            root_path=settings.root_path or None,
            prevent_thread_lock=True,
            max_threads=workers(house.settings),  # launch() forgets what the page says
            ssr_mode=False,  # with it, Gradio's own server answers /health with the page
            i18n=I18N,
            app_kwargs=launched(house),
        )
        if settings.share and not house.page.share_url:
            log.warning("There is no public link: Gradio's servers cannot be reached from here, or this is a Space.")
        house.ending.wait()
        house.page.close(verbose=False)
        end_tunnels()
    except OSError as error:
        why = cannot_listen(settings.host, settings.port) or error.strerror or type(error).__name__
        raise SystemExit(f"The page cannot be served at {settings.host} port {settings.port}: {why}.") from None
    finally:
        house.stop()


if __name__ == "__main__":
    main()
