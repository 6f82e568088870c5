"""Realtime Voice Chat: a voice and text chat over the OpenAI Realtime protocol, as a Gradio app."""

TITLE = "Realtime Voice Chat"
VERSION = "0.1.0"
