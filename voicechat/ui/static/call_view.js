/* Call view: timer, level ring around the button, keyboard shortcuts, push-to-talk and the choice of devices.
 * call_control.js owns the call and sends two events: `voice-microphone` (detail: the stream) when a microphone was
 * opened, `voice-call-ended` when the call has ended. */
(() => {
  "use strict";
  const CALL = "#voice-call";
  const BUTTON = `${CALL} button[aria-label="start stream"]`;
  const text = window.voiceTexts;
  const currentStage = () => document.querySelector("#status [data-stage]")?.dataset.stage || "";
  const readStored = (key, otherwise) => {
    try {
      return localStorage.getItem(key) ?? otherwise;
    } catch {
      return otherwise;
    }
  };
  const store = (key, value) => {
    try {
      localStorage.setItem(key, value);
    } catch {
      // the choice is kept for this page only
    }
  };

  // ---------------------------------------------------------------- timer: from the first "listening" to the end
  const LIVE_STAGES = ["listening", "hearing", "thinking", "speaking", "reconnecting"];
  let startedAt = 0;
  const formatDuration = (seconds) => {
    const padTwo = (n) => String(n).padStart(2, "0");
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
    return h ? `${h}:${padTwo(m)}:${padTwo(s)}` : `${m}:${padTwo(s)}`;
  };
  const updateTimer = () => {
    const now = performance.now() / 1000;
    if (!LIVE_STAGES.includes(currentStage())) startedAt = 0;
    else if (!startedAt) startedAt = now;
    const timer = document.getElementById("voice-timer");
    const shown = startedAt ? formatDuration(now - startedAt) : "";
    if (timer && timer.textContent !== shown) timer.textContent = shown;
  };
  setInterval(updateTimer, 250);

  // ---------------------------------------------------------------- level ring: loudness of both voices
  let context = null;
  let microphone = null;
  let meters = [];
  let frame = 0;
  const createLevelMeter = (stream, name) => {
    const analyser = context.createAnalyser();
    analyser.fftSize = 512;
    try {
      context.createMediaStreamSource(stream).connect(analyser);
    } catch {
      // The stream has ended, or has another sample rate: its ring shows no level.
    }
    return { analyser, name, stream, samples: new Float32Array(analyser.fftSize), level: 0 };
  };
  const drawLevels = () => {
    frame = 0;
    if (!microphone) return; // the call has ended
    const button = document.querySelector(BUTTON);
    const modelStream = document.querySelector(`${CALL} audio`)?.srcObject;
    if (modelStream?.getAudioTracks().length && !meters.some((each) => each.stream === modelStream)) {
      meters = [...meters.filter((each) => each.name === "user"), createLevelMeter(modelStream, "model")];
    }
    for (const each of meters) {
      each.analyser.getFloatTimeDomainData(each.samples);
      const power = each.samples.reduce((sum, x) => sum + x * x, 0) / each.samples.length;
      const loud = Math.min(1, Math.max(0, (10 * Math.log10(power + 1e-9) + 55) / 40)); // -55 dBFS: 0, -15 dBFS: 1
      each.level = Math.max(loud, each.level * 0.85);
      button?.style.setProperty(`--level-${each.name}`, each.level.toFixed(2));
    }
    frame = requestAnimationFrame(drawLevels);
  };
  document.addEventListener("voice-microphone", ({ detail }) => {
    microphone = detail;
    applyPushToTalk();
    fillDevices(); // after the permission the browser reveals the names of the devices
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    context ??= new AudioContext();
    context.resume();
    meters = [...meters.filter((each) => each.name !== "user"), createLevelMeter(detail, "user")];
    frame ||= requestAnimationFrame(drawLevels);
  });
  document.addEventListener("voice-call-ended", () => {
    microphone = null;
    meters = [];
    context?.suspend();
    talking = false;
    for (const name of ["user", "model"]) document.querySelector(BUTTON)?.style.setProperty(`--level-${name}`, "0");
  });

  // ---------------------------------------------------------------- push-to-talk and keyboard shortcuts
  let pushToTalk = readStored("voice-push-to-talk", "off") === "on";
  let talking = false;
  const applyPushToTalk = () => {
    document.documentElement.dataset.pushToTalk = pushToTalk ? (talking ? "talking" : "on") : "off";
    window.voiceSetGateOpen(!pushToTalk || talking);
  };
  const setTalking = (on) => {
    if (!pushToTalk || talking === on) return;
    talking = on;
    applyPushToTalk();
  };
  const TEXT_FIELDS = "input:not([type=checkbox], [type=radio], [type=range], [type=button]), textarea, select, [contenteditable]";
  const isTextField = (target) => target instanceof Element && target.closest(TEXT_FIELDS);
  /** A checkbox focused by keyboard is ticked with the space bar. After a click on it the space bar talks. */
  let focusedByKeyboard = false; // read on focus: any later key makes a clicked box `:focus-visible` too
  document.addEventListener("focusin", ({ target }) => {
    focusedByKeyboard = target instanceof Element && target.matches("input[type=checkbox]:focus-visible");
  });
  const isSpaceHandledByTarget = (target) => isTextField(target) || (focusedByKeyboard && target === document.activeElement);
  const isInCall = () => microphone !== null;
  const clickElement = (selector) => document.querySelector(selector)?.click();
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !isInCall()) return;
    if (event.isComposing || event.keyCode === 229) return; // keyCode 229: Safari's sign of an input method
    if (event.key === "Escape") {
      if (["speaking", "thinking"].includes(currentStage())) clickElement("#voice-stop");
    } else if (isTextField(event.target)) {
      return;
    } else if (event.key === " " && pushToTalk) {
      if (isSpaceHandledByTarget(event.target)) return;
      event.preventDefault(); // the space bar would press the focused button, which hangs up
      setTalking(true);
    } else if (event.key.toLowerCase() === "m" && !event.repeat) {
      clickElement(`${CALL} .mute-button[aria-label$="mic"]`);
    }
  });
  document.addEventListener("keyup", (event) => {
    if (event.key !== " " || !pushToTalk || !isInCall()) return;
    if (!isSpaceHandledByTarget(event.target)) event.preventDefault();
    setTalking(false);
  });
  window.addEventListener("blur", () => setTalking(false)); // the key may be released in another window
  document.addEventListener("pointerdown", (event) => {
    if (event.target instanceof Element && event.target.closest("#voice-hold")) setTalking(true);
  });
  for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => setTalking(false));

  // ---------------------------------------------------------------- devices, also during a call
  const chosen = { audioinput: readStored("voice-microphone", ""), audiooutput: readStored("voice-speaker", "") };
  const SELECT_IDS = { audioinput: "voice-device-microphone", audiooutput: "voice-device-speaker" };
  window.voiceChosenMicrophoneId = () => chosen.audioinput;
  const applyOutputDevice = async () => {
    for (const audio of document.querySelectorAll(`${CALL} audio, #voice-check audio`)) {
      if (audio.setSinkId && audio.sinkId !== chosen.audiooutput) await audio.setSinkId(chosen.audiooutput).catch(() => {});
    }
  };
  const fillDevices = async () => {
    const found = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    for (const [kind, id] of Object.entries(SELECT_IDS)) {
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
    if (web) web.checked = window.voiceTransport.isWebSocketPreferred();
  };
  navigator.mediaDevices?.addEventListener?.("devicechange", fillDevices);
  document.addEventListener("change", async ({ target }) => {
    if (!(target instanceof Element)) return;
    if (target.id === SELECT_IDS.audioinput) {
      chosen.audioinput = target.value;
      store("voice-microphone", target.value);
      if (isInCall()) await window.voiceSwitchMicrophone();
    } else if (target.id === SELECT_IDS.audiooutput) {
      chosen.audiooutput = target.value;
      store("voice-speaker", target.value);
      await applyOutputDevice();
    } else if (target.id === "voice-push-to-talk") {
      pushToTalk = target.checked;
      talking = false;
      store("voice-push-to-talk", pushToTalk ? "on" : "off");
      applyPushToTalk();
    } else if (target.id === "voice-web-only") {
      window.voiceTransport.setWebSocketPreferred(target.checked);
    }
  });
  document.addEventListener("voice-permission", () => fillDevices());
  for (const name of ["play", "loadedmetadata"]) document.addEventListener(name, applyOutputDevice, true);

  let filledSelect = null;
  new MutationObserver(() => {
    for (const each of document.querySelectorAll("[data-text]:empty")) each.textContent = text[each.dataset.text];
    const select = document.getElementById(SELECT_IDS.audioinput);
    if (select && select !== filledSelect) {
      filledSelect = select;
      fillDevices();
      applyPushToTalk();
    }
  }).observe(document, { childList: true, subtree: true });
})();
