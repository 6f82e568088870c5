"""Start of llama.cpp's server, which always listens for HTTP too: out of reach of all other programs.

The model is called in this process, and nothing needs HTTP. xllamacpp cannot switch it off (an empty list of host names
crashes it). It therefore listens on a Unix socket in a private folder, which is removed as soon as the model is loaded:
a Unix socket without a name cannot be reached. Without Unix sockets it listens on a free port of 127.0.0.1, where every
request needs a path and a key that only this process has known, and where no page's origin is allowed.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xllamacpp

SOCKET_PATH_MAX_BYTES = 100
"""Bytes of a socket's path that every system allows: macOS has room for 103, Linux for 107."""
SOCKET_FOLDERS = (None, "/tmp") if os.name == "posix" else (None,)
"""Parents of the private folder; None is the system's folder for temporary files, whose path may be too long."""
UNUSED_ORIGIN = "http://127.0.0.1:1"
"""Only origin that llama.cpp would allow. No page has it: browsers refuse to open port 1."""


def start_llama_server(params: xllamacpp.CommonParams) -> xllamacpp.Server:
    """Return the server with its model loaded. Changes `params`. Raises `RuntimeError` when it cannot be loaded."""
    params.ui = False
    params.cors_origins = UNUSED_ORIGIN
    params.cors_credentials = False
    params.cors_methods = params.cors_headers = ""
    params.api_keys = [secrets.token_urlsafe(32)]
    params.api_prefix = f"/{secrets.token_urlsafe(32)}"  # without it, /health and / need no key
    params.n_threads_http = 1
    with private_socket_path() as path:
        if path is not None:
            params.hostnames = [str(path)]
            try:
                return xllamacpp.Server(params)
            except RuntimeError:
                if path.exists():  # it listened: the model is the reason
                    raise
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    return xllamacpp.Server(params)


@contextmanager
def private_socket_path() -> Iterator[Path | None]:
    """Yield the path of a new Unix socket in a folder of mode 700; None where there is no such folder.

    The folder is removed at the end.
    """
    for parent in SOCKET_FOLDERS:
        try:
            folder = tempfile.TemporaryDirectory(prefix="voice-", dir=parent, ignore_cleanup_errors=True)
        except OSError:
            continue
        with folder as name:
            path = Path(name) / "llama.sock"
            if len(os.fsencode(path)) <= SOCKET_PATH_MAX_BYTES:
                yield path
                return
    yield None
