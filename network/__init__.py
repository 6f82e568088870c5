"""Network of this computer: proxies of outgoing connections. `voicechat` and `offline` use it; it imports neither."""
