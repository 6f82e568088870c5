"""Realtime server for one computer: speech recognition, language model and speech synthesis on the CPU.

It needs no key, and no network once the models are in the cache.
"""

import os

# Otherwise onnxruntime keeps a device id in the home folder and reports every model it opens to its maker. It reads the
# variable when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
