/* WebSocket fallback of a call. WebRTC is tried first. When no packet has arrived three seconds after the answer, or the
 * path is lost, the same call continues over a WebSocket: 20 ms of PCM16 at 24 kHz per message, in both directions
 * (docs/audio_socket.md). call_control.js owns the call and its microphone. For fastrtc's component the connection
 * stays connected while the socket carries the call. */
(() => {
  "use strict";
  const SAMPLE_RATE = 24000;
  const FIRST_PACKET_TIMEOUT_MS = 3000; // from the answer, or from the connected path, to the first packet
  const SUSPECT_TIMEOUT_MS = 1000; // the same, after UDP has failed for a call of this page
  const DISCONNECT_GRACE_MS = 2000; // an interrupted path may recover; the server gives up after ten seconds
  const SOCKET_TIMEOUT_MS = 5000; // for the ticket, and for the next frame of an open socket
  const STABLE_AFTER_MS = 5000; // a socket lost after this time is replaced once more
  const MAX_BUFFERED_BYTES = SAMPLE_RATE * 2 * 2; // unsent bytes of the microphone: two seconds
  const ACK_EVERY_FRAMES = 5; // frames between two acknowledgements

  // ---------------------------------------------------------------- a call over the WebSocket
  const carrierState = new WeakMap(); // by replaced connection: "asked" once a socket is requested, "sound" after its first frame
  let activeCall = null; // the WebSocketCall of the current call, if it needs one
  class WebSocketCall {
    constructor(connection) {
      this.connection = connection;
      this.mayRetry = true; // one more socket may be opened
      this.frames = 0;
    }
    /** Restart the timeout after which the requested or open socket counts as lost. */
    restartTimeout() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.onSocketLost(), SOCKET_TIMEOUT_MS);
    }
    requestTicket() {
      this.isRequesting = true;
      this.restartTimeout();
      document.getElementById("voice-fallback")?.click();
    }
    async openSocket(url) {
      if (!this.isRequesting) return;
      this.isRequesting = false;
      try {
        this.audio ??= await window.VoiceWebAudio.open((frame) => this.sendFrame(frame));
      } catch {
        if (activeCall === this) window.voiceCallControl.connectionLost(this.connection);
        return;
      }
      if (activeCall !== this) {
        this.audio.close(); // hung up in the meantime
        return;
      }
      const address = new URL(url, document.baseURI);
      address.protocol = address.protocol.replace("http", "ws");
      const socket = (this.socket = new WebSocket(address));
      socket.binaryType = "arraybuffer";
      this.restartTimeout();
      this.frames = 0;
      let ended = false;
      socket.onmessage = ({ data }) => {
        if (activeCall !== this || socket !== this.socket) return;
        if (typeof data === "string") {
          ended ||= JSON.parse(data).type === "ended";
          return;
        }
        this.audio.playFrame(data);
        this.frames += 1;
        if (this.frames === 1) this.onFirstFrame();
        if (this.frames % ACK_EVERY_FRAMES) return;
        socket.send(JSON.stringify({ type: "taken", frames: this.frames }));
        this.restartTimeout();
      };
      socket.onclose = () => {
        if (activeCall !== this || socket !== this.socket) return;
        if (ended) window.voiceCallControl.endedByServer(this.connection);
        else this.onSocketLost();
      };
    }
    sendFrame(frame) {
      const socket = this.socket;
      if (socket?.readyState === WebSocket.OPEN && socket.bufferedAmount < MAX_BUFFERED_BYTES) socket.send(frame);
    }
    /** Play the audio and report the connection to the component as connected. */
    onFirstFrame() {
      this.startedAt = performance.now();
      if (carrierState.get(this.connection) === "sound") return;
      carrierState.set(this.connection, "sound");
      const audio = document.querySelector("#voice-call audio");
      if (audio) {
        audio.srcObject = this.audio.stream;
        audio.autoplay = true;
        audio.play().catch(() => {});
      }
      this.connection.dispatchEvent(new Event("connectionstatechange"));
      this.connection.close();
    }
    onSocketLost() {
      if (activeCall !== this) return;
      this.socket?.close(4000); // not a hang-up: the server keeps the call for the next socket
      this.socket = null;
      if (this.startedAt && performance.now() - this.startedAt > STABLE_AFTER_MS) this.mayRetry = true;
      this.startedAt = 0;
      if (!this.mayRetry) {
        window.voiceCallControl.connectionLost(this.connection);
        return;
      }
      this.mayRetry = false;
      this.requestTicket();
    }
    close() {
      clearTimeout(this.timer);
      this.isRequesting = false;
      this.socket?.close(1000);
      this.audio?.close();
      const audio = document.querySelector("#voice-call audio");
      if (audio && audio.srcObject === this.audio?.stream) audio.srcObject = null;
    }
  }
  const switchToWebSocket = (connection) => {
    if (!window.voiceCallControl.isCurrent(connection) || activeCall) return;
    carrierState.set(connection, "asked");
    activeCall = new WebSocketCall(connection);
    activeCall.requestTicket();
  };

  // ---------------------------------------------------------------- detection of a failed WebRTC path
  const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const hasReceivedRtp = async (connection) => {
    for (const report of (await connection.getStats()).values()) {
      if (report.type === "inbound-rtp" && report.packetsReceived > 0) return true;
    }
    return false;
  };
  const KEY = "voice-web-only"; // the visitor's choice: calls use the WebSocket at once
  const SUSPECT = "voice-udp-suspect"; // sessionStorage: when UDP failed for a call of this tab
  const SUSPECT_MS = 600000; // later, the network may be another one
  const { local, session } = window.voiceStorage;
  let isPreferred = local.read(KEY) === "on";
  let udpSuspect = Date.now() - Number(session.read(SUSPECT) ?? 0) < SUSPECT_MS;
  const setUdpSuspect = (on) => {
    udpSuspect = on;
    session.write(SUSPECT, on ? String(Date.now()) : null);
  };
  window.addEventListener("online", () => setUdpSuspect(false)); // the network may have changed
  const watchForFirstPacket = async (connection, native) => {
    const timeoutMs = isPreferred ? 0 : udpSuspect ? SUSPECT_TIMEOUT_MS : FIRST_PACKET_TIMEOUT_MS;
    let since = performance.now();
    let connected = false;
    while (window.voiceCallControl.isCurrent(connection) && !activeCall) {
      if (await hasReceivedRtp(connection)) {
        if (udpSuspect) setUdpSuspect(false);
        return;
      }
      if (!connected && native() === "connected") {
        connected = true;
        since = performance.now();
      }
      if (performance.now() - since >= timeoutMs) {
        setUdpSuspect(true);
        switchToWebSocket(connection);
      }
      await delay(200);
    }
  };
  const onceConnected = new WeakSet(); // connections that were connected once
  window.voiceTransport = {
    /** Watch a connection. `native` returns its real state. */
    watchConnection(connection, native) {
      connection.addEventListener("signalingstatechange", () => {
        if (connection.signalingState === "stable") watchForFirstPacket(connection, native);
      });
      connection.addEventListener("connectionstatechange", async () => {
        if (native() === "connected") onceConnected.add(connection);
        if (native() === "disconnected") await delay(DISCONNECT_GRACE_MS);
        if (native() === "disconnected" || native() === "failed") switchToWebSocket(connection);
      });
    },
    /** Return the state to report to the component for a connection in the state `native`. */
    connectionState(connection, native) {
      const isInterrupted = carrierState.has(connection) || ["disconnected", "failed"].includes(native);
      if (!isInterrupted || !window.voiceCallControl.isCurrent(connection)) return native;
      return carrierState.get(connection) === "sound" || onceConnected.has(connection) ? "connected" : "connecting";
    },
    isWebSocketPreferred: () => isPreferred,
    setWebSocketPreferred(on) {
      isPreferred = on;
      local.write(KEY, on ? "on" : "off");
      const box = document.getElementById(KEY);
      if (box) box.checked = on;
    },
    isCarriedByWebSocket: (connection) => carrierState.has(connection),
    open: (url) => {
      if (url) activeCall?.openSocket(url);
    },
    closeSocket() {
      const ended = activeCall;
      activeCall = null;
      ended?.close();
    },
  };
})();
