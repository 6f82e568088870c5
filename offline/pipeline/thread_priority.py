"""Priority of threads: models that may wait run below speech synthesis and recognition."""

from __future__ import annotations

import os
import sys
import threading

LLM_NICENESS = 4
"""Niceness of the language model's threads, below which speech synthesis and recognition run.

At 4 a thread has 0.4 of the weight of one at 0, at 10 a tenth. At 10 the model was not warmed up after two minutes
beside three busy programs on two processors.
"""


def lower_thread_priority() -> None:
    """Lower the priority of the calling thread and the threads it starts: current speech precedes later text.

    Only on Linux do priorities belong to threads and are inherited. A lower priority of the process stays.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(LLM_NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
