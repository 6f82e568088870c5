"""A person at the page, for tests: a microphone that says recordings on command, and an ear that records all it hears.

Both live on one clock in the page (an AudioContext at 24 kHz), so that "how long until silence" is exact. The
microphone replaces only what the operating system would deliver: the page's own code, fastrtc's component, WebRTC and
Opus are real.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, BrowserContext, Page
from playwright.sync_api import TimeoutError as NotInTime

CALL_BUTTON = '#voice-call button[aria-label="start stream"]'

EVENT_TIMEOUT_S = 60.0
"""How long an event is waited for. What comes is there much sooner; a busy computer may take three times as long."""

CHROMIUM_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]

FAKE_AUDIO_DEVICES_SCRIPT = """
(() => {
  const context = new AudioContext({ sampleRate: 24000 });
  const voice = context.createGain();
  const room = context.createConstantSource();  // a real microphone never stops delivering, silence included
  room.offset.value = 1e-5; room.connect(voice); room.start();
  const opened = [];   // every real microphone stream handed to the page
  const connections = [];
  const Peer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Peer { constructor(...a) { super(...a); connections.push(this); } };

  navigator.mediaDevices.getUserMedia = async () => {
    const out = context.createMediaStreamDestination();
    voice.connect(out);
    opened.push(out.stream);
    return out.stream;
  };
  const decode = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const encode = (floats) => {
    const bytes = new Uint8Array(floats.buffer); let text = "";
    for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    return btoa(text);
  };

  // ---- ear: whatever the audio element of the call or of the sound check is playing, through its volume and mute, in
  //      one long recording
  const worklet = `registerProcessor('ear', class extends AudioWorkletProcessor {
    process([input]) { if (input[0]) this.port.postMessage([currentFrame, input[0].slice()]); return true; } });`;
  const heard = [];
  let node = null;
  const listen = async () => {
    await context.resume();
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: "text/javascript" })));
    node = new AudioWorkletNode(context, "ear", { channelCount: 1, channelCountMode: "explicit" });
    node.port.onmessage = ({ data }) => heard.push(data);
    node.connect(context.destination);
    const silence = context.createConstantSource(); silence.offset.value = 0; silence.connect(node); silence.start();
  };
  const ready = listen();
  const sources = new WeakMap();
  setInterval(() => {
    for (const audio of document.querySelectorAll("#voice-call audio, #voice-check audio")) {
      const stream = audio.srcObject;
      if (!stream || !node) continue;
      let tap = sources.get(stream);
      if (!tap) {
        const gain = context.createGain();
        context.createMediaStreamSource(stream).connect(gain).connect(node);
        sources.set(stream, (tap = gain));
      }
      tap.gain.value = audio.muted ? 0 : audio.volume;
    }
  }, 20);

  window.caller = {
    ready,
    now: () => context.currentTime,
    streams: () => opened,
    opened: () => opened.map((s) => s.getTracks().map((t) => t.readyState)),
    peers: () => connections.map((c) => c.connectionState),
    feed: (stream) => context.createMediaStreamSource(stream).connect(voice),
    async say(base64) {
      const samples = new Float32Array(decode(base64));
      const buffer = context.createBuffer(1, samples.length, 24000);
      buffer.copyToChannel(samples, 0);
      const source = context.createBufferSource(); source.buffer = buffer; source.connect(voice);
      const begin = context.currentTime + 0.02; source.start(begin);
      return [begin, begin + samples.length / 24000];
    },
    ear(from, to) {
      const first = Math.round(from * 24000), count = Math.max(0, Math.round((to - from) * 24000));
      const out = new Float32Array(count);
      for (const [frame, block] of heard) {
        const at = frame - first;
        if (at + block.length <= 0 || at >= count) continue;
        for (let i = 0; i < block.length; i++) if (at + i >= 0 && at + i < count) out[at + i] = block[i];
      }
      return encode(out);
    },
    loud(from, level) {   // is there sound above `level` (root mean square over 20 ms) since `from`?
      const first = Math.round(from * 24000); let sum = 0, n = 0;
      for (let k = heard.length - 1; k >= 0 && heard[k][0] >= first; k--) {
        for (const x of heard[k][1]) { sum += x * x; n++; }
        if (n >= 480) { if (Math.sqrt(sum / n) > level) return true; sum = 0; n = 0; }
      }
      return false;
    },
    quiet(seconds, level) {   // has the ear heard nothing above `level` for the last `seconds`?
      const first = (context.currentTime - seconds) * 24000; let sum = 0, n = 0;
      for (let k = heard.length - 1; k >= 0 && heard[k][0] >= first; k--) {
        for (const x of heard[k][1]) { sum += x * x; n++; }
        if (n >= 480) { if (Math.sqrt(sum / n) > level) return false; sum = 0; n = 0; }
      }
      return true;
    },
  };
})();
"""


@dataclass(frozen=True)
class SpokenInterval:
    """When a recording was said, in seconds of the page's audio clock."""

    begin_s: float
    end_s: float


@dataclass(frozen=True)
class ShownMessage:
    """One bubble on the page."""

    role: str
    text: str


class BrowserPage:
    """Drives one page."""

    def __init__(
        self,
        browser: Browser,
        url: str,
        *,
        locale: str = "en-US",
        before: str = "",
        after: str = "",
        scheme: str = "light",
        cookies: Sequence[Any] = (),
    ) -> None:
        """`before`, `after`: scripts that run in the page before ours, and after it but before the page's own.
        `cookies`: of another context, that this one begins with."""
        self.context: BrowserContext = browser.new_context(
            locale=locale, viewport={"width": 1000, "height": 800}, color_scheme=scheme
        )
        self.context.add_cookies(list(cookies))
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.add_init_script(before + FAKE_AUDIO_DEVICES_SCRIPT + after)
        self.page.goto(url, wait_until="domcontentloaded")
        self.page.wait_for_selector(CALL_BUTTON)
        self.page.evaluate("caller.ready")

    # ---------------------------------------------------------------- doing

    def press_call_button(self) -> None:
        self.page.locator(CALL_BUTTON).click()

    def start_call(self) -> None:
        """Press the green button and wait until the call listens."""
        self.wait_for_stage("idle", "ended", "failed")
        self.press_call_button()
        self.wait_for_stage("listening")

    def hang_up(self) -> None:
        self.press_call_button()
        self.wait_for_stage("ended")

    def play_speech(self, samples: NDArray[np.float32]) -> SpokenInterval:
        begin, end = self.page.evaluate("(s) => caller.say(s)", base64.b64encode(samples.tobytes()).decode())
        return SpokenInterval(begin, end)

    def send_typed_message(self, text: str) -> None:
        self.page.locator("#voice-input textarea").fill(text)
        self.page.keyboard.press("Enter")

    def close(self) -> None:
        self.context.close()

    # ---------------------------------------------------------------- waiting for what a person would notice

    def wait_for_stage(self, *names: str, timeout: float = EVENT_TIMEOUT_S) -> None:
        """Wait until the status bar shows one of these stages."""
        wanted = ", ".join(f'#status [data-stage="{name}"]' for name in names)
        try:
            self.page.wait_for_selector(wanted, timeout=timeout * 1000)
        except NotInTime:
            shown = self.page.inner_text("#status"), self.page.inner_text("#voice-hint")
            button, peers = self.page.get_attribute(CALL_BUTTON, "data-state"), self.page.evaluate("caller.peers()")
            raise AssertionError(f"not {names} but {shown}, button {button}, connections {peers}") from None

    def wait_until(self, expression: str, argument: object = None, timeout: float = EVENT_TIMEOUT_S) -> None:
        self.page.wait_for_function(expression, arg=argument, timeout=timeout * 1000, polling=20)

    def wait_until_loud(self, since: float, level: float = 0.01, timeout: float = EVENT_TIMEOUT_S) -> None:
        """Wait until something is heard after `since`."""
        self.wait_until("([since, level]) => caller.loud(since, level)", [since, level], timeout)

    def wait_until_quiet(self, seconds: float = 1.0, level: float = 0.003, timeout: float = EVENT_TIMEOUT_S) -> None:
        """Wait until nothing has been heard for `seconds`."""
        self.wait_until("([seconds, level]) => caller.quiet(seconds, level)", [seconds, level], timeout)

    # ---------------------------------------------------------------- looking and listening

    def audio_clock_s(self) -> float:
        return float(self.page.evaluate("caller.now()"))

    def voice_messages(self) -> list[ShownMessage]:
        found = self.page.evaluate(
            """() => [...document.querySelectorAll('#voice-chat [data-testid=user], #voice-chat [data-testid=bot]')]
                .map((e) => [e.dataset.testid, e.innerText.trim()])"""
        )
        return [ShownMessage("user" if role == "user" else "assistant", text) for role, text in found]

    def status_text(self) -> str:
        return self.page.inner_text("#status .status")

    def recorded_output(self, begin: float, end: float) -> NDArray[np.float32]:
        """What was heard between two moments: float32 at 24 kHz."""
        raw = base64.b64decode(self.page.evaluate("([a, b]) => caller.ear(a, b)", [begin, end]))
        return np.frombuffer(raw, np.float32)

    def microphone_track_states(self) -> list[list[str]]:
        """readyState of every track of every microphone stream the page was given."""
        states: list[list[str]] = self.page.evaluate("caller.opened()")
        return states
