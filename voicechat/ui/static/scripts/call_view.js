/* Call view: timer, level of both voices (for the rings and the glow), keyboard shortcuts, push-to-talk and the choice of devices.
 * call_control.js owns the call and sends two events: `voice-microphone` (detail: the stream) when a microphone was
 * opened, `voice-call-ended` when the call has ended. */
(() => {
  "use strict";
  const CALL = "#voice-call";
  const text = window.voiceTexts;
  const currentStage = () => document.querySelector("#status [data-stage]")?.dataset.stage || "";
  const { local } = window.voiceStorage;

  // ---------------------------------------------------------------- timer: from the first "listening" to the end
  const LIVE_STAGES = ["listening", "hearing", "thinking", "speaking", "reconnecting"];
  let startedAt = 0;
  const formatDuration = (seconds) => {
    const padTwo = (n) => String(n).padStart(2, "0");
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
    return h ? `${h}:${padTwo(m)}:${padTwo(s)}` : `${m}:${padTwo(s)}`;
  };
  let earlierSeconds = 0; // of the same call before the page was reloaded
  let leaving = false;
  let notedSecond = -1;
  let isWaiting = false; // for a slot, or for the server
  let isHungUp = false; // by the visitor
  /** The server has ended the call because it closes: one that is started in its place is dialled. */
  const isCutOff = () =>
    document.querySelector('#status [data-notice="closing"]') !== null ||
    ("draining" in document.documentElement.dataset && !isHungUp && !LIVE_STAGES.includes(currentStage()));
  const updateTimer = () => {
    if (leaving) return;
    if (!window.voiceConnection.isAlive() || isCutOff()) { // without its server a call is neither up nor over
      if (!window.voiceCallControl.isWanted()) document.getElementById("voice-timer")?.replaceChildren();
      return;
    }
    const now = performance.now() / 1000;
    isWaiting = window.voiceCallControl.isWanted() && ["connecting", "waiting"].includes(currentStage());
    if (!LIVE_STAGES.includes(currentStage())) {
      if (startedAt) {
        earlierSeconds = 0;
        window.voiceResume.noteCall(null);
      }
      startedAt = 0;
    } else if (!startedAt) startedAt = now - earlierSeconds;
    const seconds = startedAt ? now - startedAt : 0;
    if (startedAt && window.voiceCallControl.isWanted() && Math.floor(seconds) !== notedSecond) {
      notedSecond = Math.floor(seconds);
      window.voiceResume.noteCall(seconds, false); // also for a crash, which sends no event
    }
    const timer = document.getElementById("voice-timer");
    const shown = startedAt ? formatDuration(seconds) : "";
    if (timer && timer.textContent !== shown) timer.textContent = shown;
  };
  window.addEventListener("pagehide", () => {
    leaving = true;
  });

  // ---------------------------------------------------------------- a call that was up before the page was reloaded
  const REDIAL_WITHIN_MS = 120000; // REPLY_DUE_S in visitor.py
  const pressCall = () => document.querySelector(`${CALL} button[aria-label="start stream"]`)?.click();
  const showResume = (shown) => {
    const bar = document.getElementById("voice-resume");
    if (bar) bar.hidden = !shown;
  };
  let isRedialled = false; // the call of the page was begun by the page itself
  /** Return whether the browser lets the page open the microphone and play sound without a press. */
  const maySpeak = async () => {
    if (!usesMicrophone) return false;
    const playing = window.voiceAutoplay.isAllowed().catch(() => false); // takes some 300 ms
    const permission = await navigator.permissions?.query({ name: "microphone" }).catch(() => null);
    return permission?.state === "granted" && playing;
  };
  /** Dial again by itself where the browser allows it, which is asked while the page is still built; else offer it. */
  const offerResume = async ({ seconds, at }, mayRedial) => {
    earlierSeconds = seconds;
    await window.voiceHistory?.restored; // the model has to know what was said
    if (window.voiceCallControl.isWanted()) return;
    await window.voiceOwnKey.looked;
    const mayDial = (await mayRedial) && !window.voiceOwnKey.isLost() && Date.now() - at < REDIAL_WITHIN_MS;
    if (window.voiceCallControl.isWanted()) return;
    if (mayDial) {
      isRedialled = true;
      return pressCall();
    }
    sayReason();
    showResume(true);
  };
  const sayReason = () => {
    const reason = document.querySelector("#voice-resume p");
    if (reason) reason.textContent = window.voiceOwnKey.isLost() ? text.resume_own_key : text.resume_cut;
  };
  document.addEventListener("voice-own-key", sayReason);
  window.voiceResume.noteRedial = () => {
    updateTimer(); // a call that was hung up a moment ago is over
    if ((startedAt || isWaiting) && !isHungUp) window.voiceResume.noteCall(startedAt ? performance.now() / 1000 - startedAt : earlierSeconds, true);
    leaving = true; // the note is the last word, also while the next page takes long to answer
  };
  /** Wait until the page can call. */
  const offerWhenReady = (earlierCall) => {
    const mayRedial = earlierCall.redial ? maySpeak() : false;
    const button = `${CALL} button[aria-label="start stream"]`;
    const isReady = () => ["idle", "failed"].includes(currentStage()) && ["#voice-resume", button].every((each) => document.querySelector(each));
    if (isReady()) return offerResume(earlierCall, mayRedial);
    const waiting = new MutationObserver(() => {
      if (!isReady()) return;
      waiting.disconnect();
      offerResume(earlierCall, mayRedial);
    });
    waiting.observe(document, { childList: true, subtree: true });
  };
  window.voiceResume.token().then(() => {
    const earlierCall = window.voiceResume.notedCall();
    if (earlierCall) offerWhenReady(earlierCall);
  });
  document.addEventListener("voice-sound-blocked", () => {
    if (!isRedialled || !window.voiceCallControl.isWanted()) return;
    pressCall(); // hangs up: nothing of the call would be heard
    showResume(true);
  });
  document.addEventListener("click", ({ target, isTrusted }) => {
    if (!(target instanceof Element)) return;
    if (isTrusted) isRedialled = false;
    if (target.closest("#voice-resume-call")) pressCall();
    const button = target.closest(`${CALL} button[aria-label="start stream"]`);
    if (button && isTrusted) leaving = false; // in a page that could not leave
    if (button || target.closest("#voice-resume-call, #voice-clear")) showResume(false);
    if (target.closest("#voice-clear")) earlierSeconds = 0;
    const hangsUp = button !== null && button.dataset.state !== "start";
    if (button) isHungUp = hangsUp;
    if (hangsUp || target.closest("#voice-clear")) {
      window.voiceResume.noteCall(null); // hung up: a reloaded page does not go on, and does not dial
      if (!window.voiceConnection.isAlive()) startedAt = 0;
    }
  }, true);
  setInterval(updateTimer, 250);

  // ---------------------------------------------------------------- level ring: loudness of both voices
  let context = null;
  let microphone = null;
  let meters = [];
  let frame = 0;
  const LEVEL_MS = 25; // from one drawing of the levels to the request of the next frame: 30 drawings per second at 60 Hz
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
  /** Elements that show the levels: the button's rings, the glow, the newest avatar. Not <html>: a property of all its
   * descendants would restyle the whole page in every frame. */
  const levelElements = () =>
    document.querySelectorAll(`${CALL} button[aria-label="start stream"], .aura, #voice-chat .message-row:last-child .avatar-container`);
  const showLevel = (name, level) => {
    for (const element of levelElements()) element.style.setProperty(`--level-${name}`, level.toFixed(2));
  };
  const levels = () => meters.map((each) => each.level.toFixed(2)).join();
  const drawLevels = () => {
    frame = 0;
    if (!microphone) return; // the call has ended
    const modelStream = document.querySelector(`${CALL} audio`)?.srcObject;
    if (modelStream?.getAudioTracks().length && !meters.some((each) => each.stream === modelStream)) {
      meters = [...meters.filter((each) => each.name === "user"), createLevelMeter(modelStream, "model")];
    }
    const shown = levels();
    for (const each of meters) {
      each.analyser.getFloatTimeDomainData(each.samples);
      const power = each.samples.reduce((sum, x) => sum + x * x, 0) / each.samples.length;
      const loud = Math.min(1, Math.max(0, (10 * Math.log10(power + 1e-9) + 55) / 40)); // -55 dBFS: 0, -15 dBFS: 1
      each.level = Math.max(loud, each.level * 0.72);
    }
    if (levels() !== shown) for (const each of meters) showLevel(each.name, each.level);
    frame = setTimeout(() => requestAnimationFrame(drawLevels), LEVEL_MS);
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
    for (const name of ["user", "model"]) showLevel(name, 0);
  });

  // ---------------------------------------------------------------- push-to-talk and keyboard shortcuts
  let pushToTalk = local.read("voice-push-to-talk") === "on";
  let talking = false;
  let usesMicrophone = local.read("voice-microphone-use") !== "off";
  window.voiceUsesMicrophone = () => usesMicrophone;
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
  /** With push to talk, the hold button takes the place of the message box. This button shows the other one. */
  const setTyping = (on) => {
    document.documentElement.dataset.typing = on ? "on" : "off";
    window.voiceSetName(document.getElementById("voice-type-instead"), on ? "talk_instead" : "type_instead");
    document.querySelector(on ? "#voice-input textarea" : "#voice-hold")?.focus();
  };
  document.addEventListener("click", ({ target }) => {
    if (target instanceof Element && target.closest("#voice-type-instead")) setTyping(document.documentElement.dataset.typing !== "on");
  });
  for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => setTalking(false));

  // ---------------------------------------------------------------- devices, also during a call
  const chosen = { audioinput: local.read("voice-microphone") ?? "", audiooutput: local.read("voice-speaker") ?? "" };
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
    const silent = document.getElementById("voice-no-microphone");
    if (silent) silent.checked = !usesMicrophone;
    const web = document.getElementById("voice-web-only");
    if (web) web.checked = window.voiceTransport.isWebSocketPreferred();
  };
  navigator.mediaDevices?.addEventListener?.("devicechange", fillDevices);
  document.addEventListener("change", async ({ target }) => {
    if (!(target instanceof Element)) return;
    if (target.id === SELECT_IDS.audioinput) {
      chosen.audioinput = target.value;
      local.write("voice-microphone", target.value);
      if (isInCall()) await window.voiceSwitchMicrophone();
    } else if (target.id === SELECT_IDS.audiooutput) {
      chosen.audiooutput = target.value;
      local.write("voice-speaker", target.value);
      await applyOutputDevice();
    } else if (target.id === "voice-push-to-talk") {
      pushToTalk = target.checked;
      talking = false;
      local.write("voice-push-to-talk", pushToTalk ? "on" : "off");
      applyPushToTalk();
    } else if (target.id === "voice-no-microphone") {
      usesMicrophone = !target.checked; // from the next call on
      local.write("voice-microphone-use", usesMicrophone ? "on" : "off");
    } else if (target.id === "voice-web-only") {
      window.voiceTransport.setWebSocketPreferred(target.checked);
    }
  });
  document.addEventListener("voice-permission", () => fillDevices());
  for (const name of ["play", "loadedmetadata"]) document.addEventListener(name, applyOutputDevice, true);

  let filledSelect = null;
  new MutationObserver(() => {
    const select = document.getElementById(SELECT_IDS.audioinput);
    if (select && select !== filledSelect) {
      filledSelect = select;
      fillDevices();
      applyPushToTalk();
    }
  }).observe(document, { childList: true, subtree: true });
})();
