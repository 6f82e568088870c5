"""Replacements of Gradio's internals, each with the fault that it corrects."""
