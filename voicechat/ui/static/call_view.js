/* What a call looks like while it lasts, and what may be pressed: the timer, the ring around the button, the keyboard,
 * push-to-talk, and which microphone and loudspeaker. call_control.js owns the call; it tells of it by events:
 * `voice-microphone` (detail: the stream) when a microphone was opened, `voice-over` when the call is over. */
(() => {
  "use strict";
  const CALL = "#voice-call";
  const BUTTON = `${CALL} button[aria-label="start stream"]`;
  const text = window.voiceTexts;
  const stage = () => document.querySelector("#status [data-stage]")?.dataset.stage || "";
  const kept = (key, otherwise) => {
    try {
      return localStorage.getItem(key) ?? otherwise;
    } catch {
      return otherwise;
    }
  };
  const keep = (key, value) => {
    try {
      localStorage.setItem(key, value);
    } catch {
      // then it counts for this page only
    }
  };

  // ---------------------------------------------------------------- timer: from the first "listening" to the end
  const LIVE = ["listening", "hearing", "thinking", "speaking", "reconnecting"];
  let since = 0;
  const clock = (seconds) => {
    const two = (n) => String(n).padStart(2, "0");
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
    return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  };
  const tick = () => {
    const now = performance.now() / 1000;
    if (!LIVE.includes(stage())) since = 0;
    else if (!since) since = now;
    const place = document.getElementById("voice-timer");
    const shown = since ? clock(now - since) : "";
    if (place && place.textContent !== shown) place.textContent = shown;
  };
  setInterval(tick, 250);

  // ---------------------------------------------------------------- ring: how loud the two voices are
  let context = null;
  let microphone = null;
  let gauges = [];
  let frame = 0;
  const gauge = (stream, name) => {
    const analyser = context.createAnalyser();
    analyser.fftSize = 512;
    try {
      context.createMediaStreamSource(stream).connect(analyser);
    } catch {
      // It has ended, or has another rate: its ring stays at rest.
    }
    return { analyser, name, stream, samples: new Float32Array(analyser.fftSize), level: 0 };
  };
  const draw = () => {
    frame = 0;
    if (!microphone) return; // the call is over
    const button = document.querySelector(BUTTON);
    const heard = document.querySelector(`${CALL} audio`)?.srcObject;
    if (heard?.getAudioTracks().length && !gauges.some((each) => each.stream === heard)) {
      gauges = [...gauges.filter((each) => each.name === "user"), gauge(heard, "model")];
    }
    for (const each of gauges) {
      each.analyser.getFloatTimeDomainData(each.samples);
      const power = each.samples.reduce((sum, x) => sum + x * x, 0) / each.samples.length;
      const loud = Math.min(1, Math.max(0, (10 * Math.log10(power + 1e-9) + 55) / 40)); // -55 dBFS: 0, -15 dBFS: 1
      each.level = Math.max(loud, each.level * 0.85);
      button?.style.setProperty(`--level-${each.name}`, each.level.toFixed(2));
    }
    frame = requestAnimationFrame(draw);
  };
  document.addEventListener("voice-microphone", ({ detail }) => {
    microphone = detail;
    gate();
    fillDevices(); // with permission given, the devices have names
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    context ??= new AudioContext();
    context.resume();
    gauges = [...gauges.filter((each) => each.name !== "user"), gauge(detail, "user")];
    frame ||= requestAnimationFrame(draw);
  });
  document.addEventListener("voice-over", () => {
    microphone = null;
    gauges = [];
    context?.suspend();
    talking = false;
    for (const name of ["user", "model"]) document.querySelector(BUTTON)?.style.setProperty(`--level-${name}`, "0");
  });

  // ---------------------------------------------------------------- push-to-talk, and the other keys
  let pushToTalk = kept("voice-push-to-talk", "off") === "on";
  let talking = false;
  const gate = () => {
    document.documentElement.dataset.pushToTalk = pushToTalk ? (talking ? "talking" : "on") : "off";
    window.voiceGate(!pushToTalk || talking);
  };
  const talk = (on) => {
    if (!pushToTalk || talking === on) return;
    talking = on;
    gate();
  };
  const TYPED = "input:not([type=checkbox], [type=radio], [type=range], [type=button]), textarea, select, [contenteditable]";
  const typing = (target) => target instanceof Element && target.closest(TYPED);
  /** Whoever goes from box to box by keyboard ticks them with the space bar; whoever clicked one wants to talk. */
  let tabbed = false; // told at once: a key makes what was clicked `:focus-visible` too
  document.addEventListener("focusin", ({ target }) => {
    tabbed = target instanceof Element && target.matches("input[type=checkbox]:focus-visible");
  });
  const spaceIsTaken = (target) => typing(target) || (tabbed && target === document.activeElement);
  const inCall = () => microphone !== null;
  const press = (selector) => document.querySelector(selector)?.click();
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !inCall()) return;
    if (event.isComposing || event.keyCode === 229) return; // the second is Safari's word for it
    if (event.key === "Escape") {
      if (["speaking", "thinking"].includes(stage())) press("#voice-stop");
    } else if (typing(event.target)) {
      return;
    } else if (event.key === " " && pushToTalk) {
      if (spaceIsTaken(event.target)) return;
      event.preventDefault(); // it would press the button that has the focus: the red one
      talk(true);
    } else if (event.key.toLowerCase() === "m" && !event.repeat) {
      press(`${CALL} .mute-button[aria-label$="mic"]`);
    }
  });
  document.addEventListener("keyup", (event) => {
    if (event.key !== " " || !pushToTalk || !inCall()) return;
    if (!spaceIsTaken(event.target)) event.preventDefault();
    talk(false);
  });
  window.addEventListener("blur", () => talk(false)); // the key is let go somewhere else
  document.addEventListener("pointerdown", (event) => {
    if (event.target instanceof Element && event.target.closest("#voice-hold")) talk(true);
  });
  for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => talk(false));

  // ---------------------------------------------------------------- devices, also during a call
  const chosen = { audioinput: kept("voice-microphone", ""), audiooutput: kept("voice-speaker", "") };
  const NAMES = { audioinput: "voice-device-microphone", audiooutput: "voice-device-speaker" };
  window.voiceDevice = () => chosen.audioinput;
  const listen = async () => {
    for (const audio of document.querySelectorAll(`${CALL} audio, #voice-check audio`)) {
      if (audio.setSinkId && audio.sinkId !== chosen.audiooutput) await audio.setSinkId(chosen.audiooutput).catch(() => {});
    }
  };
  const fillDevices = async () => {
    const found = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    for (const [kind, id] of Object.entries(NAMES)) {
      const select = document.getElementById(id);
      if (!select) continue;
      const options = found.filter((each) => each.kind === kind && each.deviceId && each.deviceId !== "default");
      const rows = [new Option(text.device_default, ""), ...options.map((each, i) =>
        new Option(each.label || `${text.device_unnamed} ${i + 1}`, each.deviceId))];
      select.replaceChildren(...rows);
      select.value = options.some((each) => each.deviceId === chosen[kind]) ? chosen[kind] : "";
      if (kind === "audiooutput") select.disabled = !("setSinkId" in HTMLMediaElement.prototype);
    }
    const box = document.getElementById("voice-push-to-talk");
    if (box) box.checked = pushToTalk;
    const web = document.getElementById("voice-web-only");
    if (web) web.checked = window.voiceWay.preferred();
  };
  navigator.mediaDevices?.addEventListener?.("devicechange", fillDevices);
  document.addEventListener("change", async ({ target }) => {
    if (!(target instanceof Element)) return;
    if (target.id === NAMES.audioinput) {
      chosen.audioinput = target.value;
      keep("voice-microphone", target.value);
      if (inCall()) await window.voiceOtherMicrophone();
    } else if (target.id === NAMES.audiooutput) {
      chosen.audiooutput = target.value;
      keep("voice-speaker", target.value);
      await listen();
    } else if (target.id === "voice-push-to-talk") {
      pushToTalk = target.checked;
      talking = false;
      keep("voice-push-to-talk", pushToTalk ? "on" : "off");
      gate();
    } else if (target.id === "voice-web-only") {
      window.voiceWay.prefer(target.checked);
    }
  });
  document.addEventListener("voice-permission", () => fillDevices());
  for (const name of ["play", "loadedmetadata"]) document.addEventListener(name, listen, true);

  let filled = null;
  new MutationObserver(() => {
    for (const each of document.querySelectorAll("[data-text]:empty")) each.textContent = text[each.dataset.text];
    const place = document.getElementById(NAMES.audioinput);
    if (place && place !== filled) {
      filled = place;
      fillDevices();
      gate();
    }
  }).observe(document, { childList: true, subtree: true });
})();
