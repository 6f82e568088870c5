/* Sound check: a test of ten seconds that shows whether a call will work, with a button for each fix. It is offered on
 * the first visit (voicechat/ui/widgets/sound_check.py) and in the settings, in the dock and beside a failure. It opens and closes the
 * microphone itself; the start of a call ends it. */
(() => {
  "use strict";
  const SECTION = "voice-check";
  const text = window.voiceTexts;
  const VISITED_KEY = "voice-visited";
  const SPEECH_MS = 5000; // time to say a sentence; it ends early after enough speech
  const ENOUGH_LOUD_POLLS = 40; // polls with speech in them
  const POLL_MS = 30;
  const REQUEST_TIMEOUT_MS = 5000; // timeout of each request to the server
  const UDP_TIMEOUT_MS = 3000; // the same time as a call waits for a packet (websocket_fallback.js)
  const MELODY_HZ = [523, 659, 784, 659, 784, 1047]; // Hz, 0.4 s each
  const NOTE_S = 0.4;
  const MELODY_TIMEOUT_MS = 6000; // in real time: without a loudspeaker the audio clock stands still

  const { levelDbfs, quantile, classifyLevel, toneProminenceDb, hasEcho } = window.voiceAudioMeasurements;

  // ---------------------------------------------------------------- the rows
  const getSection = () => document.getElementById(SECTION);
  const ROWS = ["microphone", "level", "echo", "network"];
  const createElement = (tag, properties = {}, ...children) => {
    const created = Object.assign(document.createElement(tag), properties);
    created.append(...children);
    return created;
  };
  const createButton = (words, press) => createElement("button", { type: "button", textContent: words, onclick: press });
  /** Render one row. `state`: wait, run, ok or trouble. `fixes`: buttons. */
  const renderRow = (name, state, code, ...fixes) => {
    const element = getSection()?.querySelector(`[data-row="${name}"]`);
    if (!element) return;
    element.dataset.state = state;
    element.replaceChildren(
      createElement("span", { className: "sign", ariaHidden: "true" }),
      createElement("span", { textContent: text[`check_${code}`] }),
      ...fixes,
    );
  };

  // ---------------------------------------------------------------- one run
  let run = null; // the current run
  class SoundCheckRun {
    constructor() {
      this.isOver = false;
      this.context = new AudioContext(); // created during the click: later some browsers would refuse
      this.context.resume();
    }
    stop() {
      this.isOver = true;
      this.release();
    }
    release() {
      for (const track of this.stream?.getTracks() ?? []) track.stop();
      this.audio?.remove();
      if (this.context.state !== "closed") this.context.close();
    }
    /** Poll the microphone every `POLL_MS` until `done(samples)`. Return false when the run has ended. */
    async pollMicrophone(done) {
      const analyser = this.context.createAnalyser();
      analyser.fftSize = 2048;
      const source = this.context.createMediaStreamSource(this.stream);
      source.connect(analyser);
      const samples = new Float32Array(analyser.fftSize);
      while (!this.isOver) {
        analyser.getFloatTimeDomainData(samples);
        if (done(samples)) break;
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
      source.disconnect();
      return !this.isOver;
    }
    async openMicrophone() {
      renderRow("microphone", "run", "allow");
      try {
        this.stream = await window.voiceOpenMicrophone();
      } catch (error) {
        return this.showMicrophoneError({ NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing" }[error.name] ?? "busy");
      }
      if (this.isOver) {
        this.stop();
        return false;
      }
      renderRow("microphone", "ok", "microphone");
      document.dispatchEvent(new Event("voice-permission")); // now the browser reveals the names of the devices
      return true;
    }
    async showMicrophoneError(code) {
      if (this.isOver) return false;
      const framed = document.featurePolicy && !document.featurePolicy.allowsFeature("microphone");
      if (code === "denied" && framed) renderRow("microphone", "trouble", "framed", createButton(text.check_own_tab, () => open(location.href)));
      else renderRow("microphone", "trouble", code, createRetryButton());
      if (code === "missing") navigator.mediaDevices.addEventListener("devicechange", () => run === this && start(), { once: true });
      const permission = await navigator.permissions?.query({ name: "microphone" }).catch(() => null);
      if (code === "denied" && permission) {
        permission.onchange = () => {
          if (run === this && permission.state !== "denied") start();
        };
      }
      return false;
    }
    /** Measure the visitor's voice. Return the level class, or "" when the run has ended. */
    async measureSpeech() {
      renderRow("level", "run", "say");
      const meter = createElement("meter", { min: 0, max: 1, value: 0, ariaLabel: text.check_meter });
      getSection()?.querySelector('[data-row="level"]')?.append(meter);
      const [levels, peaks] = [[], []];
      const end = performance.now() + SPEECH_MS;
      const heard = await this.pollMicrophone((samples) => {
        const now = levelDbfs(samples);
        meter.value = Math.min(1, Math.max(0, (now + 60) / 50)); // -60 to -10 dBFS
        levels.push(now);
        peaks.push(samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0));
        const floor = quantile(levels, 0.1);
        return performance.now() > end || levels.filter((each) => each > -45 && each > floor + 10).length >= ENOUGH_LOUD_POLLS;
      });
      if (!heard) return "";
      const verdict = classifyLevel(levels, peaks);
      if (verdict === "ok") renderRow("level", "ok", "heard");
      else renderRow("level", "trouble", verdict, ...(await createDeviceButtons("audioinput")), createRetryButton());
      return verdict;
    }
    /** Play a melody and look for its echo. `deaf`: the microphone is silent, so an echo cannot be detected. */
    async playMelody(deaf) {
      renderRow("echo", "run", "tune");
      const out = this.context.createMediaStreamDestination();
      this.audio = createElement("audio", { srcObject: out.stream, autoplay: true });
      getSection()?.append(this.audio); // call_control.js sets its volume, call_view.js its loudspeaker
      const timeout = new Promise((resolve) => setTimeout(resolve, 1000)); // without a loudspeaker play() may stay pending
      await Promise.race([this.audio.play().catch(() => {}), timeout]);
      const end = performance.now() + MELODY_TIMEOUT_MS;
      const begin = this.context.currentTime + 0.1;
      MELODY_HZ.forEach((frequency, i) => {
        const [note, gain] = [this.context.createOscillator(), this.context.createGain()];
        const [from, to] = [begin + i * NOTE_S, begin + (i + 1) * NOTE_S];
        note.frequency.value = frequency;
        gain.gain.setValueAtTime(0, from);
        gain.gain.linearRampToValueAtTime(0.25, from + 0.02);
        gain.gain.setValueAtTime(0.25, to - 0.05);
        gain.gain.linearRampToValueAtTime(0, to);
        note.connect(gain).connect(out);
        note.start(from);
        note.stop(to);
      });
      const notes = MELODY_HZ.map(() => 0);
      const heard = await this.pollMicrophone((samples) => {
        const at = this.context.currentTime - begin;
        MELODY_HZ.forEach((frequency, i) => {
          const late = at - i * NOTE_S; // the sound passes two system buffers before it comes back
          if (late < 0.1 || late > NOTE_S + 0.4) return;
          notes[i] = Math.max(notes[i], toneProminenceDb(samples, this.context.sampleRate, frequency));
        });
        return at > MELODY_HZ.length * NOTE_S + 0.4 || performance.now() > end;
      });
      if (!heard) return;
      if (hasEcho(notes)) {
        renderRow("echo", "trouble", "echo", createButton(text.check_fix_push, enablePushToTalk), createRetryButton());
        return;
      }
      renderRow("echo", "run", deaf ? "asked_only" : "asked",
        createButton(text.check_yes, () => renderRow("echo", "ok", deaf ? "loudspeaker" : "no_echo")),
        createButton(text.check_no, async () => renderRow("echo", "trouble", "unheard", createButton(text.check_fix_loud, setFullVolume), ...(await createDeviceButtons("audiooutput")))));
    }
    async checkNetwork() {
      renderRow("network", "run", "network");
      const outcome = await probeUdp().catch(() => "unreachable");
      if (this.isOver) return;
      if (outcome === "udp") renderRow("network", "ok", "udp");
      else if (outcome === "no_webrtc") renderRow("network", "trouble", "no_webrtc");
      else if (outcome === "web") renderRow("network", "trouble", "web", createButton(text.check_fix_web, () => {
        window.voiceTransport.setWebSocketPreferred(true);
        renderRow("network", "ok", "web_chosen");
      }));
      else renderRow("network", "trouble", "unreachable", createRetryButton());
    }
  }
  /** Try to open a data channel. Return "udp" when it opens, "web" when it does not, "no_webrtc" without WebRTC. */
  const probeUdp = async () => {
    if (!window.voiceNativePeerConnection) return "no_webrtc";
    const url = new URL("udp-check", document.baseURI);
    const requestJson = async (options) => {
      const response = await fetch(url, { ...options, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
      if (!response.ok) throw new Error(String(response.status));
      return response.json();
    };
    const configuration = await requestJson();
    const peer = new window.voiceNativePeerConnection(configuration);
    try {
      const opened = new Promise((resolve) => {
        peer.createDataChannel("check").onopen = resolve;
      });
      await peer.setLocalDescription();
      const gathered = new Promise((resolve) => {
        peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && resolve();
        if (peer.iceGatheringState === "complete") resolve();
      });
      const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms, "web"));
      await Promise.race([gathered, delay(2000)]);
      const { type, sdp } = peer.localDescription;
      await peer.setRemoteDescription(await requestJson({ method: "POST", body: JSON.stringify({ type, sdp }) }));
      return await Promise.race([opened.then(() => "udp"), delay(UDP_TIMEOUT_MS)]);
    } finally {
      peer.close();
    }
  };

  // ---------------------------------------------------------------- fixes
  const createRetryButton = () => createButton(text.check_again, start);
  /** Create one button for each other device of a kind. */
  const createDeviceButtons = async (kind) => {
    const id = kind === "audioinput" ? "voice-device-microphone" : "voice-device-speaker";
    const select = document.getElementById(id);
    if (!select || select.disabled) return [];
    return [...select.options].filter((each) => each.value !== select.value).slice(0, 3).map((each) =>
      createButton(`${text.check_use} ${each.textContent}`, () => {
        select.value = each.value;
        select.dispatchEvent(new Event("change", { bubbles: true }));
        start();
      }));
  };
  const enablePushToTalk = () => {
    const box = document.getElementById("voice-push-to-talk");
    if (box && !box.checked) box.click();
    renderRow("echo", "ok", "push_chosen");
  };
  const setFullVolume = () => {
    const slider = document.querySelector("#voice-volume input[type=range]");
    if (slider) {
      slider.value = "100";
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    }
    start();
  };
  /** Show that the page needs https. The https address is tried before it is offered. */
  const showInsecureContext = async () => {
    renderRow("microphone", "trouble", "insecure");
    if (location.protocol !== "http:") return;
    const httpsUrl = `https://${location.host}${location.pathname}${location.search}`;
    const isReachable = await fetch(httpsUrl, { mode: "no-cors", cache: "no-store", signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) }).then(
      () => true,
      () => false,
    );
    if (isReachable) renderRow("microphone", "trouble", "insecure", createButton(text.check_https, () => location.assign(httpsUrl)));
    else renderRow("microphone", "trouble", "no_https");
  };

  // ---------------------------------------------------------------- start and end
  const markVisited = () => window.voiceStorage.local.write(VISITED_KEY, "yes");
  const setState = (state) => {
    const element = getSection();
    if (!element) return;
    element.dataset.state = state;
    element.hidden = state === "closed";
    document.documentElement.dataset.check = state; // the style sheet hides the empty conversation
    document.getElementById("voice-check-start").hidden = state !== "intro";
    document.getElementById("voice-check-close").textContent = text[state === "intro" ? "check_later" : "check_close"];
  };
  const start = async () => {
    run?.stop();
    const thisRun = (run = new SoundCheckRun());
    markVisited();
    setState("running");
    for (const name of ROWS) renderRow(name, "wait", `title_${name}`);
    const network = thisRun.checkNetwork();
    try {
      if (!navigator.mediaDevices) await showInsecureContext();
      else if (await thisRun.openMicrophone()) {
        const voice = await thisRun.measureSpeech();
        if (voice) await thisRun.playMelody(voice === "silent");
      }
    } finally {
      thisRun.release(); // before the network check is finished
    }
    await network;
    thisRun.stop();
  };
  const close = () => {
    markVisited();
    run?.stop();
    run = null;
    setState("closed");
  };
  document.addEventListener(
    "click",
    ({ target }) => {
      if (!(target instanceof Element)) return;
      if (target.closest("#voice-check-start, #voice-check-open, #voice-test, #voice-hint-check")) {
        if (window.voiceCallControl.isWanted()) return; // the call uses the microphone
        start();
        document.getElementById("voice-tab-button")?.click();
        document.getElementById("voice-check-close")?.focus({ preventScroll: true });
      } else if (target.closest('#voice-check-close, #voice-call button[aria-label="start stream"]')) close();
    },
    true,
  );
  window.addEventListener("pagehide", () => run?.stop());

  let filled = null;
  new MutationObserver(() => {
    const element = getSection();
    if (!element || element === filled) return;
    filled = element;
    setState(window.voiceStorage.local.read(VISITED_KEY) === null ? "intro" : "closed");
  }).observe(document, { childList: true, subtree: true });
})();
