"""Realtime server for one computer: speech recognition, language model and speech synthesis on the CPU.

It needs no key, and no network once the models are in the cache.
"""
