"""Audio of a call: format, playback buffer, uplink buffer, Opus, voice activity and recording."""
