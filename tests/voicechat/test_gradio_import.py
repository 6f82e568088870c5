"""Import of Gradio by the app: no source of a component is parsed, and the components work."""

from __future__ import annotations

import os
import subprocess
import sys

import gradio

from tests.support.app.app_process import NO_SERVER_SETTINGS
from tests.support.paths import ROOT
from voicechat.gradio_import import leave_out_type_stubs

IMPORT_THE_APP = """
import ast, sys
def refuse(*_): raise AssertionError("a source is parsed")
ast.get_source_segment = refuse
import app, gradio
print([finder for finder in sys.meta_path if type(finder).__module__ == "voicechat.gradio_import"])
print(gradio.Textbox(label="words").label, gradio.Textbox.__name__)
"""


def test_import_of_the_app_parses_no_component_and_leaves_no_finder() -> None:
    environment = {**os.environ, **NO_SERVER_SETTINGS}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_THE_APP], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["[]", "words Textbox"]


def test_call_after_the_import_changes_nothing() -> None:
    before = list(sys.meta_path)
    leave_out_type_stubs()
    assert sys.meta_path == before and gradio.component_meta
