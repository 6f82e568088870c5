"""Spoken turns with an embedded server of their own: utterances in real time, and the times of the replies."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection

from benchmarks.support.local_machine import ROOT
from benchmarks.support.speech_samples import RATE, SpeechSample

FRAME_S = 0.02
LEAD_SILENCE_S = 0.5
"""Seconds of silence before each utterance."""
REPLY_TIMEOUT_S = 40.0
"""Seconds to wait for a reply."""
NOISE_AMPLITUDE = 3e-4
"""Amplitude (of 1.0) of the background noise."""
CARRIED_MODEL_ONLY = {"LLM_URL": ""}
"""Environment of a server whose own language model answers."""


@dataclass
class TurnResult:
    """Utterance and its reply. Times are in seconds from the end of the speech."""

    name: str
    said: str
    heard: str = ""
    reply: str = ""
    stopped_s: float | None = None
    """Time of `input_audio_buffer.speech_stopped`."""
    first_audio_s: float | None = None
    gap_s: float = 0.0
    """Seconds without audio within the reply, if played as it arrived."""
    naive_s: float | None = None
    answered_by: str = ""
    """Language model of the reply, where an endpoint is set."""
    is_by_endpoint: bool = False
    fault: str = ""
    """Why the endpoint did not answer; "" when it did."""
    _audio_arrivals: list[tuple[float, float]] = field(default_factory=list, repr=False)

    def add_audio(self, at: float, seconds: float) -> None:
        if self.first_audio_s is None:
            self.first_audio_s = at
        self._audio_arrivals.append((at, seconds))

    def note_end(self, response: dict[str, Any]) -> None:
        """Note who answered."""
        model = response.get("answered_by") or {}
        self.answered_by, self.fault = model.get("model", ""), model.get("fault", "")
        self.is_by_endpoint = bool(model.get("is_endpoint")) and not self.fault

    def to_json(self) -> dict[str, Any]:
        """Return the turn without its audio arrivals."""
        return {name: value for name, value in asdict(self).items() if name[0] != "_"}

    def count_gaps(self) -> None:
        until = None
        for at, seconds in self._audio_arrivals:
            if until is not None and at > until:
                self.gap_s += at - until
            until = max(until or at, at) + seconds


class OfflineServerProcess:
    """`python -m offline` as a child process, with `environment` beside the present one."""

    def __init__(
        self, environment: Mapping[str, str] = CARRIED_MODEL_ONLY, cgroup_processes: Path | None = None
    ) -> None:
        """`cgroup_processes` is that of `cpu_quota`; None without a quota."""
        self._environment = environment
        self._cgroup_processes = cgroup_processes
        self.url = ""
        self.model = ""
        """Name of the carried language model."""
        self.ready_s = 0.0

    async def start(self) -> None:
        begun = time.monotonic()
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "offline", "--port", "0", "--exit-with-parent"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "OFFLINE_UPGRADE": "false", **self._environment},  # the same models in all replies
            cwd=ROOT,
            preexec_fn=self._join_cgroup if self._cgroup_processes is not None else None,
        )
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            status = json.loads(line)
            self.url = status.get("listening", self.url)
            if "ready" in status:
                if not status["ready"]:
                    raise SystemExit(status.get("detail", "The server did not start."))
                self.ready_s, self.model = time.monotonic() - begun, status.get("model", "")
                return
        raise SystemExit("The server did not start.")

    def _join_cgroup(self) -> None:
        """Join the cgroup. Runs in the child before Python starts."""
        assert self._cgroup_processes is not None
        self._cgroup_processes.write_text("0", "ascii")

    async def stop(self) -> None:
        self.process.terminate()
        await self.process.wait()


async def run_turn(socket: ClientConnection, utterance: SpeechSample, seed: int) -> TurnResult:
    """Send one utterance in real time and receive the reply."""
    turn = TurnResult(utterance.name, utterance.text)
    noise = np.random.default_rng(seed)
    samples = np.concatenate([np.zeros(int(LEAD_SILENCE_S * RATE), np.float32), utterance.samples])
    over = asyncio.Event()
    start = time.monotonic()
    voice_end = start + LEAD_SILENCE_S + utterance.end_s

    async def play() -> None:
        step, at = int(FRAME_S * RATE), 0
        while not over.is_set() and at < REPLY_TIMEOUT_S * RATE:
            frame = np.zeros(step, np.float32)
            part = samples[at : at + step]
            frame[: len(part)] = part
            frame += noise.standard_normal(step).astype(np.float32) * NOISE_AMPLITUDE
            at += step
            # A frame exists only once its last sample was spoken.
            await asyncio.sleep(max(0.0, start + at / RATE - time.monotonic()))
            pcm = (np.clip(frame, -1, 1) * 32767).astype("<i2").tobytes()
            await socket.send(
                json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()})
            )

    async def listen() -> None:
        async for message in socket:
            at = time.monotonic() - voice_end
            event: dict[str, Any] = json.loads(message)
            match event["type"]:
                case "input_audio_buffer.speech_stopped":
                    turn.stopped_s = at
                case "conversation.item.input_audio_transcription.completed":
                    turn.heard += event["transcript"]
                case "response.output_audio.delta":
                    turn.add_audio(at, len(event["delta"]) * 3 / 4 / 2 / RATE)
                case "response.output_audio_transcript.delta":
                    turn.reply += event["delta"]
                case "error":
                    raise SystemExit(event["error"]["message"])
                case "response.done" if event["response"]["status"] != "cancelled":
                    turn.note_end(event["response"])
                    return

    playing = asyncio.create_task(play())
    try:
        await asyncio.wait_for(listen(), REPLY_TIMEOUT_S)
    except TimeoutError:
        print(f"{utterance.name}: no reply within {REPLY_TIMEOUT_S:.0f} s", file=sys.stderr)
    over.set()
    await playing
    turn.count_gaps()
    return turn


def session_settings(silence_ms: int | None) -> dict[str, Any]:
    """Return the settings of a spoken session. `silence_ms` None: the page's own, adapted to each pause."""
    adaptive = {"silence_duration_ms": 350, "adaptive_silence": True}
    detection = {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        **(adaptive if silence_ms is None else {"silence_duration_ms": silence_ms}),
        "create_response": True,
        "interrupt_response": True,
    }
    return {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": detection}},
    }
