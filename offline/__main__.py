"""`python -m offline`: the Realtime server as a process. It listens at once and loads the models meanwhile.

JSON lines on stdout report its progress to the parent process, in this order:

    {"listening": URL, "port": N}
    {"fetching": SENTENCE}      some, with `--fetch` and missing files
    {"progress": SENTENCE}      some
    {"ready": true, "model": NAME, "languages": [...], "voices": [...], "capacity": N, "detail": SENTENCE, "seconds": S}
        or {"ready": false, "reason": "models" or "engines", "detail": SENTENCE}
    {"voices": [...]}           once at most, after "ready": true, when voices were fetched
    {"upgrade": SENTENCE, "model": NAME, "news": [...]}     some, after "ready": true; the sentence may be ""
    {"endpoint_faults": {"llm": "unreachable"}}     some, after "ready": true, when one changes; {} when all work

"upgrade" reports better models, which are fetched and tried in the background and take over between sessions. "news"
says the same in values (`upgrade_news.UpgradeNews.to_json`): {"stage": "fetching", "kind": "llm", "percent": 40,
"megabytes": 986}. "model" is the name of the language model of the next session. Unchanged news are not repeated.

Without its engines the process ends with `EXIT_WITHOUT_ENGINES`. Logs go to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from network.hosts import is_loopback_host
from offline.endpoints.settings import read_endpoints
from offline.models.catalogue import parse_llm_choice, parse_stt_choice
from offline.models.store import is_complete, models_dir, optional_models, required_models

from .engines import LISTENING_ENGINES, EnginesUnavailable, import_engines, require_engines
from .session_limit import sessions_at_pace
from .settings import DEFAULT_SESSIONS, max_sessions, upgrades_enabled

if TYPE_CHECKING:  # it imports engines
    from .pipeline.loader import Pipeline
    from .server import RealtimeServer

LOGGER = logging.getLogger("offline")

EXIT_WITHOUT_ENGINES = 3
"""Exit status of a process whose engines are missing or cannot be loaded."""


def write_status_line(**facts: object) -> None:
    """Write one JSON line to stdout."""
    print(json.dumps(facts, ensure_ascii=False), flush=True)


def download_missing_models(report: Callable[[str], None]) -> None:
    """Download missing model files. Blocks, possibly for minutes. `report` receives one sentence per step.

    A file that no source provides is logged; loading the models then fails. Raises `OSError` when the folder cannot be
    written.
    """
    root, models = models_dir(), required_models(os.environ)
    if all(is_complete(root, model) for model in models):
        return
    from offline.models.downloader import JsonProgress, ModelDownloader

    report("Fetching the speech and language models")
    for failure in ModelDownloader(root, progress=JsonProgress(report)).fetch(models):
        LOGGER.warning("models: download failed reason=%s", failure)


def download_missing_voices() -> None:
    """Download missing voices to choose from. Blocks. A server works without them: failures are one log line."""
    root, models = models_dir(), optional_models(os.environ)
    if all(is_complete(root, model) for model in models):
        return
    from filelock import Timeout

    from offline.models.downloader import JsonProgress, ModelDownloader

    progress = JsonProgress(lambda sentence: LOGGER.debug("voices: downloading progress=%s", sentence))
    try:
        failures = ModelDownloader(root, progress=progress, lock_timeout_s=0).fetch(models)
    except (OSError, Timeout) as error:  # a folder that cannot be written, or another process that fetches them
        LOGGER.warning("voices: download failed error=%s", type(error).__name__)
        return
    if failures:
        LOGGER.warning("voices: download failed missing=%d first_reason=%s", len(failures), failures[0])


def report_unavailable(error: EnginesUnavailable) -> None:
    """Log that the engines are missing, and write the status line."""
    LOGGER.error("engines: not available reason=%s", error)
    write_status_line(ready=False, reason="engines", detail=str(error))


async def load_models(server: RealtimeServer, *, fetch: bool = False) -> None:
    """Load the models, with `fetch` after downloading missing files, and report the result. Then upgrade them.

    Raises `EnginesUnavailable`.
    """
    from .server import error_location

    started = time.monotonic()
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(import_engines)
    try:
        if fetch:
            await asyncio.to_thread(
                download_missing_models, lambda sentence: _report_progress(server, loop, sentence, "fetching")
            )
        from offline.pipeline.loader import load_pipeline

        workers = await load_pipeline(lambda sentence: _report_progress(server, loop, sentence))
    except Exception as error:
        # Loading precedes every conversation, so the error's message is safe to log.
        LOGGER.error("models: loading failed reason=%s error=%s", error, error_location(error))
        server.mark_failed(f"The models cannot be loaded: {error}")
        write_status_line(ready=False, reason="models", detail=server.detail)
        return
    if max_sessions() is None:
        server.capacity = await measured_capacity(workers)
    server.mark_ready(workers, workers.languages, workers.detail)
    seconds = round(time.monotonic() - started, 2)
    voices = list(workers.speakers)
    LOGGER.info("models: the embedded server is ready model=%s seconds=%.0f", workers.model, seconds)
    write_status_line(
        ready=True,
        model=workers.model,
        languages=list(workers.languages),
        voices=voices,
        capacity=server.capacity,
        detail=workers.detail,
        seconds=seconds,
    )
    workers.endpoint_faults.watch(lambda faults: write_status_line(endpoint_faults=faults))
    if fetch:  # after the start, which does not wait for them
        await asyncio.to_thread(download_missing_voices)
        if list(workers.speakers) != voices:
            write_status_line(voices=list(workers.speakers))
    await asyncio.gather(upgrade_in_background(server, workers), keep_pace_in_background(workers))


async def measured_capacity(workers: Pipeline) -> int:
    """Return the sessions of `OFFLINE_SESSIONS=auto`. Without a record the pace that the warm-up measured counts."""
    from .server import error_location

    factor = max(pace.factor for pace in workers.runtime.paces.values())
    try:
        module = await asyncio.to_thread(importlib.import_module, "offline.upgrade.pace_record")
        factor = await module.recorded_pace(workers) or factor
    except Exception as error:
        LOGGER.error("pace: not read error=%s", error_location(error))
    # An endpoint that speaks leaves the processors of this computer to the recognition.
    sessions = workers.slots if workers.runtime.remote_speech is not None else sessions_at_pace(factor, workers.slots)
    LOGGER.info("sessions: limit=%d most=%d pace=%.2f", sessions, workers.slots, factor)
    return sessions


async def keep_pace_in_background(workers: Pipeline) -> None:
    """Keep the measured pace of the speech for later starts. A failure changes nothing else."""
    from .server import error_location

    try:
        module = await asyncio.to_thread(importlib.import_module, "offline.upgrade.pace_record")
        await module.keep_pace_of_machine(workers)
    except Exception as error:
        LOGGER.error("pace: not recorded error=%s", error_location(error))


async def upgrade_in_background(server: RealtimeServer, workers: Pipeline) -> None:
    """Bring the models to better tiers while the server runs, and report it. A failure changes nothing else."""
    from offline.upgrade.upgrade_news import UpgradeNews, join_sentences

    from .server import error_location

    last = ("", workers.model)

    def report(news: tuple[UpgradeNews, ...]) -> None:
        nonlocal last
        sentence = join_sentences(news)
        if (sentence, workers.model) != last:
            last = (sentence, workers.model)
            server.upgrade, server.news = sentence, [each.to_json() for each in news]
            write_status_line(upgrade=sentence, model=workers.model, news=server.news)

    try:
        # The server accepts sessions: modules are read from the disk beside the event loop.
        plan = await asyncio.to_thread(importlib.import_module, "offline.upgrade.upgrade_plan")
        await plan.upgrade_models(workers, report)
    except Exception as error:
        LOGGER.error("upgrade: failed error=%s", error_location(error))
        report(())


def _report_progress(
    server: RealtimeServer, loop: asyncio.AbstractEventLoop, sentence: str, key: str = "progress"
) -> None:
    LOGGER.info("models: %s progress=%s", "downloading" if key == "fetching" else "loading", sentence)
    write_status_line(**{key: sentence})
    loop.call_soon_threadsafe(server.set_progress, sentence)


def stop_on_stdin_eof(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set `stop` at the end of stdin, which comes when the parent process ends."""

    def wait() -> None:
        with contextlib.suppress(OSError, ValueError):
            while sys.stdin.buffer.read(4096):
                pass
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, daemon=True, name="stdin").start()


def read_key(*, from_stdin: bool, from_env: bool) -> str:
    """Return the key of this server: the first line of stdin, or `OFFLINE_KEY`, which counts without an option too.

    "" without either. Raises `ValueError` with one sentence where an option asks for a key that is not there.
    """
    if from_stdin:
        line = sys.stdin.buffer.readline()
        if not line.isascii() or not line.strip():
            raise ValueError("the first line of stdin must be the key, in ASCII")
        return line.decode("ascii").strip()
    key = os.environ.get("OFFLINE_KEY", "").strip()
    if not all("!" <= letter <= "~" for letter in key):
        raise ValueError("OFFLINE_KEY holds a space or a character that no key has")
    if from_env and not key:
        raise ValueError("OFFLINE_KEY must be the key")
    return key


def warn_if_open(host: str, key: str) -> None:
    """Log that no key protects a server that other computers can reach."""
    if not key and not is_loopback_host(host):
        LOGGER.warning("server: every computer that reaches this address may use it remedy=OFFLINE_KEY")


async def serve(host: str, port: int, capacity: int, key: str, *, exit_with_parent: bool, fetch: bool) -> int:
    """Serve until a signal or the parent's end. Return the exit status. Raises `EnginesUnavailable`."""
    from .server import REALTIME_PATH, RealtimeServer

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(name, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(name, lambda *_: loop.call_soon_threadsafe(stop.set))
    if exit_with_parent:
        stop_on_stdin_eof(loop, stop)
    server = RealtimeServer(capacity=capacity, key=key)
    try:
        async with server.listen(host, port) as listener:
            bound_port = next(iter(listener.sockets)).getsockname()[1]
            url_host = f"[{host}]" if ":" in host else host
            write_status_line(listening=f"ws://{url_host}:{bound_port}{REALTIME_PATH}", port=bound_port)
            loading = asyncio.create_task(load_models(server, fetch=fetch))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait((loading, stopping), return_when=asyncio.FIRST_COMPLETED)
            if loading.done():
                loading.result()
            await stopping
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)
    except OSError as error:
        LOGGER.error("server: cannot listen host=%s port=%s reason=%s", host, port, error.strerror or error)
        return 1
    finally:
        await server.close()
    return 0


def main() -> int:
    """Run the command line. Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m offline", description="A Realtime server for one computer.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8765, help="port to listen on, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument("--exit-with-parent", action="store_true", help="exit at the end of stdin")
    parser.add_argument(
        "--key-from-stdin",
        action="store_true",
        help="require the first line of stdin as the bearer token of every request",
    )
    parser.add_argument(
        "--key-from-env", action="store_true", help="end unless OFFLINE_KEY holds the key; it counts without this too"
    )
    parser.add_argument("--fetch", action="store_true", help="first download missing model files")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        capacity = max_sessions() or DEFAULT_SESSIONS  # `auto` is known when the models are loaded
    except ValueError:
        LOGGER.error("settings: OFFLINE_SESSIONS must be auto or a number of sessions, 1 or more")
        return 2
    try:
        parse_llm_choice(os.environ), parse_stt_choice(os.environ), upgrades_enabled(), read_endpoints()
    except ValueError as error:  # it holds no value of a key
        LOGGER.error("settings: %s", error)
        return 2
    try:
        # The app uses stdin: other programs of the computer can read arguments, and some of them variables.
        key = read_key(from_stdin=arguments.key_from_stdin, from_env=arguments.key_from_env)
    except ValueError as error:  # it holds no value of a key
        LOGGER.error("settings: %s", error)
        return 2
    warn_if_open(arguments.host, key)
    try:
        require_engines()
        import_engines(LISTENING_ENGINES)
    except EnginesUnavailable as error:
        report_unavailable(error)
        return EXIT_WITHOUT_ENGINES
    # The runner stays open: closing it would wait for threads that are still loading models.
    runner = asyncio.Runner()
    serving = serve(
        arguments.host,
        arguments.port,
        capacity,
        key,
        exit_with_parent=arguments.exit_with_parent,
        fetch=arguments.fetch,
    )
    try:
        return runner.run(serving)
    except EnginesUnavailable as error:
        report_unavailable(error)
        return EXIT_WITHOUT_ENGINES


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # the models' threads have nothing to save
