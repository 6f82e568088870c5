"""Tests of `voicechat.tools`."""
