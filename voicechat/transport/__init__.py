"""Audio between browser and session: WebRTC, WebSocket, jitter buffer and ICE servers."""
