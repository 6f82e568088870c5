"""Network of this computer: the proxies of outgoing connections. Used by `voicechat` and `offline`, and imports neither."""
