"""Endpoints by address: OpenAI-compatible chat, speech and transcription servers that the operator names."""
