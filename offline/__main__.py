"""`python -m offline`: a Realtime server for one computer. Listens at once, loads its models meanwhile.

JSON lines on stdout tell whoever started it how far it is: `{"listening": URL, "port": N}`; with `--fetch`, when files
are missing, some `{"fetching": SENTENCE}`; some `{"progress": SENTENCE}`; then `{"ready": true, "model": NAME,
"languages": [...], "seconds": S}` or `{"ready": false, "detail": WHY}`. The log goes to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from offline.models.store import is_intact, models_dir, required_models

from .server import REALTIME_PATH, RealtimeServer, error_location

LOGGER = logging.getLogger("offline")


def write_status_line(**facts: object) -> None:
    """One JSON line on stdout."""
    print(json.dumps(facts, ensure_ascii=False), flush=True)


def download_missing_models(report: Callable[[str], None]) -> None:
    """Bring the model files that are missing; blocks, for minutes. What cannot be had is told, and found missing later.

    Raises OSError when there is no room for them or no right to write."""
    root, models = models_dir(), required_models(os.environ)
    if all(is_intact(root / model.name / file.name, file) for model in models for file in model.files):
        return
    from offline.models.downloader import JsonProgress, ModelDownloader

    report("Fetching the speech and language models")
    for line in ModelDownloader(root, progress=JsonProgress(report)).fetch(models):
        LOGGER.warning("%s", line)


async def load_models(server: RealtimeServer, *, fetch: bool = False) -> None:
    """Load the models in the background, fetched before where that is wanted, and say how that went."""
    begun = time.monotonic()
    loop = asyncio.get_running_loop()
    try:
        if fetch:
            await asyncio.to_thread(
                download_missing_models, lambda sentence: _report_progress(server, loop, sentence, "fetching")
            )
        from offline.pipeline.loader import load_pipeline

        workers = await load_pipeline(lambda sentence: _report_progress(server, loop, sentence))
    except Exception as error:
        # What loading raises speaks of files and memory, never of a conversation, so its words may be told.
        LOGGER.error("The models cannot be loaded: %s (%s)", error, error_location(error))
        server.mark_failed(f"The models cannot be loaded: {error}")
        write_status_line(ready=False, detail=server.detail)
        return
    server.mark_ready(workers, workers.model, workers.languages)
    seconds = round(time.monotonic() - begun, 2)
    write_status_line(ready=True, model=workers.model, languages=list(workers.languages), seconds=seconds)


def _report_progress(
    server: RealtimeServer, loop: asyncio.AbstractEventLoop, sentence: str, key: str = "progress"
) -> None:
    LOGGER.info("%s", sentence)
    write_status_line(**{key: sentence})
    loop.call_soon_threadsafe(server.set_progress, sentence)


def stop_on_stdin_eof(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set `stop` when stdin reaches its end, which it does when the process that started this one is gone."""

    def wait() -> None:
        with contextlib.suppress(OSError, ValueError):
            while sys.stdin.buffer.read(4096):
                pass
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, daemon=True, name="stdin").start()


async def serve(host: str, port: int, capacity: int, *, exit_with_parent: bool, fetch: bool) -> int:
    """Serve until a signal, or the parent's end."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(name, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(name, lambda *_: loop.call_soon_threadsafe(stop.set))
    if exit_with_parent:
        stop_on_stdin_eof(loop, stop)
    server = RealtimeServer(capacity=capacity)
    try:
        async with server.listen(host, port) as listening:
            bound = next(iter(listening.sockets)).getsockname()[1]
            shown = f"[{host}]" if ":" in host else host
            write_status_line(listening=f"ws://{shown}:{bound}{REALTIME_PATH}", port=bound)
            loading = asyncio.create_task(load_models(server, fetch=fetch))
            await stop.wait()
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)
    except OSError as error:
        LOGGER.error("Cannot listen at %s port %s: %s", host, port, error.strerror or error)
        return 1
    return 0


def main() -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m offline", description="A Realtime server for one computer.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8765, help="port to listen at, 0: any free one (default: 8765)")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when stdin reaches its end")
    parser.add_argument("--fetch", action="store_true", help="first fetch model files that are missing")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("websockets", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        capacity = int(os.environ.get("OFFLINE_SESSIONS") or 2)
        if capacity < 1:
            raise ValueError
    except ValueError:
        LOGGER.error("OFFLINE_SESSIONS is the number of conversations at a time, 1 or more.")
        return 2
    # The runner is not closed: that would wait for threads in which models are still being loaded.
    runner = asyncio.Runner()
    serving = serve(
        arguments.host, arguments.port, capacity, exit_with_parent=arguments.exit_with_parent, fetch=arguments.fetch
    )
    return runner.run(serving)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # the models' threads hold nothing that needs an orderly end
