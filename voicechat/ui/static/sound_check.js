/* The sound check: ten seconds that tell a visitor whether a call will work, and what to press where it will not.
 * Offered on the first visit (voicechat/ui/drawers/sound_check.py), and at any time from the drawer of the devices. It opens the
 * microphone itself and closes it; a call that begins ends it. */
(() => {
  "use strict";
  const SECTION = "voice-check";
  const text = window.voiceTexts;
  const VISITED = "voice-visited";
  const SPEAK_MS = 5000; // to say a sentence in; less when enough was heard
  const ENOUGH = 40; // looks with speech in them
  const LOOK_MS = 30;
  const SERVER_MS = 5000; // each request to it
  const ANSWER_MS = 3000; // as long as a call waits for sound (websocket_fallback.js)
  const TUNE = [523, 659, 784, 659, 784, 1047]; // Hz, 0.4 s each
  const NOTE_S = 0.4;
  const TUNE_MS = 6000; // by the clock on the wall: that of the sound stands still where there is no loudspeaker

  const { level, rank, verdict, prominence, echoes } = window.voiceMeasures;

  // ---------------------------------------------------------------- the rows
  const section = () => document.getElementById(SECTION);
  const ROWS = ["microphone", "level", "echo", "network"];
  const element = (tag, given = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), given);
    made.append(...children);
    return made;
  };
  const button = (words, press) => element("button", { type: "button", textContent: words, onclick: press });
  /** `state`: wait, run, ok or trouble. `fixes`: buttons. */
  const row = (name, state, code, ...fixes) => {
    const place = section()?.querySelector(`[data-row="${name}"]`);
    if (!place) return;
    place.dataset.state = state;
    place.replaceChildren(
      element("span", { className: "sign", ariaHidden: "true" }),
      element("span", { textContent: text[`check_${code}`] }),
      ...fixes,
    );
  };

  // ---------------------------------------------------------------- one run
  let run = null; // the run that counts
  class Run {
    constructor() {
      this.over = false;
      this.context = new AudioContext(); // in the press of the button: later some browsers would give none
      this.context.resume();
    }
    stop() {
      this.over = true;
      this.release();
    }
    release() {
      for (const track of this.stream?.getTracks() ?? []) track.stop();
      this.audio?.remove();
      if (this.context.state !== "closed") this.context.close();
    }
    /** Look at the microphone every `LOOK_MS` until `done(samples)`; false when the run is over. */
    async watch(done) {
      const analyser = this.context.createAnalyser();
      analyser.fftSize = 2048;
      const source = this.context.createMediaStreamSource(this.stream);
      source.connect(analyser);
      const samples = new Float32Array(analyser.fftSize);
      while (!this.over) {
        analyser.getFloatTimeDomainData(samples);
        if (done(samples)) break;
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
      source.disconnect();
      return !this.over;
    }
    async microphone() {
      row("microphone", "run", "allow");
      try {
        this.stream = await window.voiceOpenMicrophone();
      } catch (error) {
        return this.refused({ NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing" }[error.name] ?? "busy");
      }
      if (this.over) {
        this.stop();
        return false;
      }
      row("microphone", "ok", "microphone");
      document.dispatchEvent(new Event("voice-permission")); // from now on the devices have names
      return true;
    }
    async refused(code) {
      if (this.over) return false;
      const framed = document.featurePolicy && !document.featurePolicy.allowsFeature("microphone");
      if (code === "denied" && framed) row("microphone", "trouble", "framed", button(text.check_own_tab, () => open(location.href)));
      else row("microphone", "trouble", code, again());
      if (code === "missing") navigator.mediaDevices.addEventListener("devicechange", () => run === this && start(), { once: true });
      const permission = await navigator.permissions?.query({ name: "microphone" }).catch(() => null);
      if (code === "denied" && permission) {
        permission.onchange = () => {
          if (run === this && permission.state !== "denied") start();
        };
      }
      return false;
    }
    /** The verdict, or "" when the run is over. */
    async speech() {
      row("level", "run", "say");
      const meter = element("meter", { min: 0, max: 1, value: 0, ariaLabel: text.check_meter });
      section()?.querySelector('[data-row="level"]')?.append(meter);
      const [levels, peaks] = [[], []];
      const end = performance.now() + SPEAK_MS;
      const heard = await this.watch((samples) => {
        const now = level(samples);
        meter.value = Math.min(1, Math.max(0, (now + 60) / 50)); // -60 to -10 dBFS
        levels.push(now);
        peaks.push(samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0));
        const floor = rank(levels, 0.1);
        return performance.now() > end || levels.filter((each) => each > -45 && each > floor + 10).length >= ENOUGH;
      });
      if (!heard) return "";
      const found = verdict(levels, peaks);
      if (found === "ok") row("level", "ok", "heard");
      else row("level", "trouble", found, ...(await others("audioinput")), again());
      return found;
    }
    /** `deaf`: the microphone sends nothing, so nothing is known of an echo. */
    async tune(deaf) {
      row("echo", "run", "tune");
      const out = this.context.createMediaStreamDestination();
      this.audio = element("audio", { srcObject: out.stream, autoplay: true });
      section()?.append(this.audio); // call_control.js gives it the volume, call_view.js the loudspeaker
      const pause = new Promise((resolve) => setTimeout(resolve, 1000)); // without a loudspeaker it may never play
      await Promise.race([this.audio.play().catch(() => {}), pause]);
      const end = performance.now() + TUNE_MS;
      const begin = this.context.currentTime + 0.1;
      TUNE.forEach((frequency, i) => {
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
      const notes = TUNE.map(() => 0);
      const heard = await this.watch((samples) => {
        const at = this.context.currentTime - begin;
        TUNE.forEach((frequency, i) => {
          const late = at - i * NOTE_S; // the way from the loudspeaker through both of the system's buffers takes time
          if (late < 0.1 || late > NOTE_S + 0.4) return;
          notes[i] = Math.max(notes[i], prominence(samples, this.context.sampleRate, frequency));
        });
        return at > TUNE.length * NOTE_S + 0.4 || performance.now() > end;
      });
      if (!heard) return;
      if (echoes(notes)) {
        row("echo", "trouble", "echo", button(text.check_fix_push, pushToTalk), again());
        return;
      }
      row("echo", "run", deaf ? "asked_only" : "asked",
        button(text.check_yes, () => row("echo", "ok", deaf ? "loudspeaker" : "no_echo")),
        button(text.check_no, async () => row("echo", "trouble", "unheard", button(text.check_fix_loud, loud), ...(await others("audiooutput")))));
    }
    async network() {
      row("network", "run", "network");
      const found = await reachable().catch(() => "unreachable");
      if (this.over) return;
      if (found === "udp") row("network", "ok", "udp");
      else if (found === "no_webrtc") row("network", "trouble", "no_webrtc");
      else if (found === "web") row("network", "trouble", "web", button(text.check_fix_web, () => {
        window.voiceWay.prefer(true);
        row("network", "ok", "web_chosen");
      }));
      else row("network", "trouble", "unreachable", again());
    }
  }
  /** "udp" when a data channel to the server opens, "web" when it does not; "no_webrtc": this browser has none. */
  const reachable = async () => {
    if (!window.voicePeer) return "no_webrtc";
    const where = new URL("udp-check", document.baseURI);
    const ask = async (given) => {
      const answer = await fetch(where, { ...given, signal: AbortSignal.timeout(SERVER_MS) });
      if (!answer.ok) throw new Error(String(answer.status));
      return answer.json();
    };
    const configuration = await ask();
    const peer = new window.voicePeer(configuration);
    try {
      const opened = new Promise((resolve) => {
        peer.createDataChannel("check").onopen = resolve;
      });
      await peer.setLocalDescription();
      const gathered = new Promise((resolve) => {
        peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && resolve();
        if (peer.iceGatheringState === "complete") resolve();
      });
      const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms, "web"));
      await Promise.race([gathered, pause(2000)]);
      const { type, sdp } = peer.localDescription;
      await peer.setRemoteDescription(await ask({ method: "POST", body: JSON.stringify({ type, sdp }) }));
      return await Promise.race([opened.then(() => "udp"), pause(ANSWER_MS)]);
    } finally {
      peer.close();
    }
  };

  // ---------------------------------------------------------------- fixes
  const again = () => button(text.check_again, start);
  /** One button for each other device of a kind. */
  const others = async (kind) => {
    const id = kind === "audioinput" ? "voice-device-microphone" : "voice-device-speaker";
    const select = document.getElementById(id);
    if (!select || select.disabled) return [];
    return [...select.options].filter((each) => each.value !== select.value).slice(0, 3).map((each) =>
      button(`${text.check_use} ${each.textContent}`, () => {
        select.value = each.value;
        select.dispatchEvent(new Event("change", { bubbles: true }));
        start();
      }));
  };
  const pushToTalk = () => {
    const box = document.getElementById("voice-push-to-talk");
    if (box && !box.checked) box.click();
    row("echo", "ok", "push_chosen");
  };
  const loud = () => {
    const slider = document.querySelector("#voice-volume input[type=range]");
    if (slider) {
      slider.value = "100";
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    }
    start();
  };
  /** Whether this host has https at all is tried before anybody is sent there. */
  const insecure = async () => {
    row("microphone", "trouble", "insecure");
    if (location.protocol !== "http:") return;
    const there = `https://${location.host}${location.pathname}${location.search}`;
    const answers = await fetch(there, { mode: "no-cors", cache: "no-store", signal: AbortSignal.timeout(SERVER_MS) }).then(
      () => true,
      () => false,
    );
    if (answers) row("microphone", "trouble", "insecure", button(text.check_https, () => location.assign(there)));
    else row("microphone", "trouble", "no_https");
  };

  // ---------------------------------------------------------------- beginning and end
  const visited = () => {
    try {
      localStorage.setItem(VISITED, "yes");
    } catch {
      // then it is offered again
    }
  };
  const show = (state) => {
    const place = section();
    if (!place) return;
    place.dataset.state = state;
    place.hidden = state === "closed";
    document.documentElement.dataset.check = state; // the style sheet: the empty conversation makes room
    document.getElementById("voice-check-start").hidden = state !== "intro";
    document.getElementById("voice-check-close").textContent = text[state === "intro" ? "check_later" : "check_close"];
  };
  const start = async () => {
    run?.stop();
    const mine = (run = new Run());
    visited();
    show("running");
    for (const name of ROWS) row(name, "wait", `title_${name}`);
    const network = mine.network();
    try {
      if (!navigator.mediaDevices) await insecure();
      else if (await mine.microphone()) {
        const voice = await mine.speech();
        if (voice) await mine.tune(voice === "silent");
      }
    } finally {
      mine.release(); // whatever the network is still waited for
    }
    await network;
    mine.stop();
  };
  const close = () => {
    visited();
    run?.stop();
    run = null;
    show("closed");
  };
  document.addEventListener(
    "click",
    ({ target }) => {
      if (!(target instanceof Element)) return;
      if (target.closest("#voice-check-start, #voice-check-open")) {
        if (window.voiceCall.wanted()) return; // the call has the microphone
        start();
        section()?.scrollIntoView({ block: "nearest" });
        document.getElementById("voice-check-close")?.focus({ preventScroll: true }); // the drawer is far below
      } else if (target.closest('#voice-check-close, #voice-call button[aria-label="start stream"]')) close();
    },
    true,
  );
  window.addEventListener("pagehide", () => run?.stop());

  let filled = null;
  new MutationObserver(() => {
    const place = section();
    if (!place || place === filled) return;
    filled = place;
    let first = true;
    try {
      first = localStorage.getItem(VISITED) === null;
    } catch {
      // as above
    }
    show(first ? "intro" : "closed");
  }).observe(document, { childList: true, subtree: true });
})();
