"""Support of benchmarks.offline_voice: spoken turns, and other language models."""
