"""Tools written in Python: the `@tool` decorator and the loader of the operator's files."""

from voicechat.tools.failure import ToolFailure
from voicechat.tools.python.decorator import tool
from voicechat.tools.python.python_tool import PythonTool

__all__ = ["PythonTool", "ToolFailure", "tool"]
