"""Python processes in which some packages cannot be imported, as on a computer without a build of them."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

BLOCKER = """
import sys
from importlib.machinery import ModuleSpec

MISSING, BROKEN = {missing!r}, {broken!r}


class BrokenLoader:
    def create_module(self, spec):
        raise ImportError("lib" + spec.name + ".so: cannot open shared object file: No such file or directory")

    def exec_module(self, module):
        pass


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
        return ModuleSpec(name, BrokenLoader()) if name in BROKEN else None


sys.meta_path.insert(0, Blocker())
"""


def environment_without(folder: Path, missing: Collection[str] = (), broken: Collection[str] = ()) -> dict[str, str]:
    """Return the variables for a child process without the modules `missing`, and with `broken` shared libraries.

    `folder`: empty folder for the code that does it.
    """
    source = BLOCKER.format(missing=sorted(missing), broken=sorted(broken))
    (folder / "sitecustomize.py").write_text(source, encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))}
