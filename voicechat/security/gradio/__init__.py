"""Ownership checks on requests to Gradio's queue and to fastrtc's component."""
