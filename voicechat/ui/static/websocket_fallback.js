/* The call's other way. WebRTC comes first; when no sound has come three seconds after the answer, or its path is lost,
 * the same call goes on over a web socket: 20 ms of PCM16 at 24 kHz per message, both ways (docs/audio_websocket.md).
 * call_control.js owns the call and its microphone; to fastrtc's component the connection stands while the socket carries it. */
(() => {
  "use strict";
  const RATE = 24000;
  const PATIENCE_MS = 3000; // from the answer, or from the moment the path stands, to the first sound
  const DOUBT_MS = 1000; // instead, after a call of this page for which UDP found no way
  const LOST_MS = 2000; // an interrupted path may come back by itself; not longer, for the server gives up after ten
  const ANSWER_MS = 5000; // for the ticket, and for the next sound of a socket that is open
  const STEADY_MS = 5000; // a socket that has carried the call so long may be tried again once when it is lost
  const WAITING = RATE * 2 * 2; // bytes of microphone that may wait for the network: two seconds
  const TELL = 5; // every so many frames the server is told how many have come

  // ---------------------------------------------------------------- the call that goes this way
  const carries = new WeakMap(); // connections that a socket stands in for, for good: "asked", then "sound" has come
  let carried = null; // one Carried while a call needs the socket, from the first doubt to its end
  class Carried {
    constructor(connection) {
      this.connection = connection;
      this.again = true; // one more socket may be tried
      this.frames = 0;
    }
    /** Unless something comes in time, this socket, or the one that was asked for, is lost. */
    expect() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.lost(), ANSWER_MS);
    }
    ask() {
      this.asking = true;
      this.expect();
      document.getElementById("voice-fallback")?.click();
    }
    async open(where) {
      if (!this.asking) return;
      this.asking = false;
      try {
        this.sound ??= await window.VoiceSound.open((frame) => this.say(frame));
      } catch {
        if (carried === this) window.voiceCall.lost(this.connection);
        return;
      }
      if (carried !== this) {
        this.sound.close(); // hung up meanwhile
        return;
      }
      const address = new URL(where, document.baseURI);
      address.protocol = address.protocol.replace("http", "ws");
      const socket = (this.socket = new WebSocket(address));
      socket.binaryType = "arraybuffer";
      this.expect();
      this.frames = 0;
      let ended = false;
      socket.onmessage = ({ data }) => {
        if (carried !== this || socket !== this.socket) return;
        if (typeof data === "string") {
          ended ||= JSON.parse(data).type === "ended";
          return;
        }
        this.sound.play(data);
        this.frames += 1;
        if (this.frames === 1) this.stands();
        if (this.frames % TELL) return;
        socket.send(JSON.stringify({ type: "taken", frames: this.frames }));
        this.expect();
      };
      socket.onclose = () => {
        if (carried !== this || socket !== this.socket) return;
        if (ended) window.voiceCall.over(this.connection);
        else this.lost();
      };
    }
    say(frame) {
      const socket = this.socket;
      if (socket?.readyState === WebSocket.OPEN && socket.bufferedAmount < WAITING) socket.send(frame);
    }
    /** Sound has come: to the component, the connection stands. */
    stands() {
      this.since = performance.now();
      if (carries.get(this.connection) === "sound") return;
      carries.set(this.connection, "sound");
      const audio = document.querySelector("#voice-call audio");
      if (audio) {
        audio.srcObject = this.sound.stream;
        audio.autoplay = true;
        audio.play().catch(() => {});
      }
      this.connection.dispatchEvent(new Event("connectionstatechange"));
      this.connection.close();
    }
    lost() {
      if (carried !== this) return;
      this.socket?.close(4000); // not a hang-up: the server keeps the call for the next one
      this.socket = null;
      if (this.since && performance.now() - this.since > STEADY_MS) this.again = true;
      this.since = 0;
      if (!this.again) {
        window.voiceCall.lost(this.connection);
        return;
      }
      this.again = false;
      this.ask();
    }
    stop() {
      clearTimeout(this.timer);
      this.asking = false;
      this.socket?.close(1000);
      this.sound?.close();
      const audio = document.querySelector("#voice-call audio");
      if (audio && audio.srcObject === this.sound?.stream) audio.srcObject = null;
    }
  }
  const goOver = (connection) => {
    if (!window.voiceCall.is(connection) || carried) return;
    carries.set(connection, "asked");
    carried = new Carried(connection);
    carried.ask();
  };

  // ---------------------------------------------------------------- whether WebRTC does it
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const received = async (connection) => {
    for (const report of (await connection.getStats()).values()) {
      if (report.type === "inbound-rtp" && report.packetsReceived > 0) return true;
    }
    return false;
  };
  const KEY = "voice-web-only"; // a visitor's choice, kept: calls take the socket at once
  let preferred = false;
  try {
    preferred = localStorage.getItem(KEY) === "on";
  } catch {
    // Site data is blocked: not chosen.
  }
  let doubtful = false;
  window.addEventListener("online", () => {
    doubtful = false; // another network, perhaps
  });
  const expectSound = async (connection, native) => {
    const patience = preferred ? 0 : doubtful ? DOUBT_MS : PATIENCE_MS;
    let since = performance.now();
    let connected = false;
    while (window.voiceCall.is(connection) && !carried) {
      if (await received(connection)) {
        doubtful = false;
        return;
      }
      if (!connected && native() === "connected") {
        connected = true;
        since = performance.now();
      }
      if (performance.now() - since >= patience) {
        doubtful = true;
        goOver(connection);
      }
      await pause(200);
    }
  };
  const stood = new WeakSet(); // connections that have been connected
  window.voiceWay = {
    /** `native`: tells the connection's true state. */
    watch(connection, native) {
      connection.addEventListener("signalingstatechange", () => {
        if (connection.signalingState === "stable") expectSound(connection, native);
      });
      connection.addEventListener("connectionstatechange", async () => {
        if (native() === "connected") stood.add(connection);
        if (native() === "disconnected") await pause(LOST_MS);
        if (native() === "disconnected" || native() === "failed") goOver(connection);
      });
    },
    /** What the component is to believe of a connection in the state `native`. */
    state(connection, native) {
      const shaky = carries.has(connection) || ["disconnected", "failed"].includes(native);
      if (!shaky || !window.voiceCall.is(connection)) return native;
      return carries.get(connection) === "sound" || stood.has(connection) ? "connected" : "connecting";
    },
    preferred: () => preferred,
    prefer(on) {
      preferred = on;
      try {
        localStorage.setItem(KEY, on ? "on" : "off");
      } catch {
        // then it counts for this page only
      }
      const box = document.getElementById(KEY);
      if (box) box.checked = on;
    },
    carries: (connection) => carries.has(connection),
    open: (where) => {
      if (where) carried?.open(where);
    },
    stop() {
      const over = carried;
      carried = null;
      over?.stop();
    },
  };
})();
