"""Entry point of Realtime Voice Chat: load the settings, build the application, run it.

`python app.py` serves the page (also with a public share link, and on Hugging Face Spaces). `uvicorn app:app` serves
the same page under any ASGI server. Without a key, the embedded Realtime server is started beside it.
"""

from __future__ import annotations

import os
import signal
import sys

USAGE = (
    "python app.py serves the page. It takes no arguments.\n"
    "Settings are variables of the environment or lines of .env: docs/settings.md lists them.\n"
)

if __name__ == "__main__" and sys.argv[1:]:  # before the imports, which take seconds
    if sys.argv[1] in ("--help", "-h"):
        sys.stdout.write(USAGE)
        raise SystemExit(0)
    raise SystemExit("app.py takes no arguments: docs/settings.md lists the settings.")
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C during the imports ends the process without a traceback

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # Gradio would report every start to its makers

import warnings

from network.proxies import ProxySettingError, prepare_environment
from voicechat.config.settings import Settings, SettingsError
from voicechat.gradio_import import leave_out_type_stubs

try:
    settings = Settings.load()
    # Before the import of Gradio, which reads the proxies of the environment and fails on some forms of them.
    prepare_environment(own_hosts=[settings.host], server_hosts=settings.server_hosts)
except (SettingsError, ProxySettingError) as error:
    raise SystemExit(str(error)) from None

leave_out_type_stubs()
import pandas  # noqa: F401  Gradio imports it at the first event: over a second of stutter in the first call

from realtime_handler import RealtimeHandler
from voicechat.logs import configure_logging
from voicechat.patches import install_patches
from voicechat.server.application import Application, build_asgi_app
from voicechat.server.launch import serve_until_shutdown

# About Gradio 6, which fastrtc does not run on. An operator can do nothing about it.
warnings.filterwarnings("ignore", "Setting 'api_name=False'", DeprecationWarning)


def create_application(settings: Settings) -> Application:
    """Return the application with these settings."""
    return Application(settings, RealtimeHandler)


configure_logging(debug=settings.debug)
try:
    application = create_application(settings)
except SettingsError as error:  # of the files that settings name: tools, MCP servers
    raise SystemExit(str(error)) from None
install_patches(application.shutdown.attach_server, settings.limits.max_message_bytes)
app = build_asgi_app(application)


def main() -> None:
    """Serve the page until the process is ended by a signal."""
    serve_until_shutdown(application)


if __name__ == "__main__":
    main()
