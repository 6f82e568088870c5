"""Import of Gradio without its type stubs: Gradio parses the sources of its components at every import to write them.

Only editors read the stubs, and they take almost half of the import's time.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

MODULE, FUNCTION = "gradio.component_meta", "create_or_modify_pyi"


def leave_out_type_stubs() -> None:
    """Let a later import of Gradio write no type stubs. A second call does nothing, nor does one after the import."""
    if MODULE not in sys.modules and not any(isinstance(finder, _WithoutTypeStubs) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WithoutTypeStubs())


class _WithoutTypeStubs(MetaPathFinder):
    """Finder of the one module. It steps aside as soon as the module is found."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _LoaderWithoutTypeStubs(spec.loader)
        return spec


class _LoaderWithoutTypeStubs(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        if hasattr(module, FUNCTION):
            setattr(module, FUNCTION, _write_nothing)


def _write_nothing(*_: object) -> None:
    """Stand in for Gradio's function."""
