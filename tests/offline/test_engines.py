"""Engines that cannot be imported: whatever an import raises, the process says it in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from offline.engines import EnginesUnavailable, import_engines


@pytest.mark.parametrize("raised", ["ImportError('no\\nlib.')", "FileNotFoundError(2, 'x.dll')", "RuntimeError()"])
def test_import_engines_with_any_error_raises_one_sentence(
    raised: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"engine_{abs(hash(raised))}"
    (tmp_path / f"{name}.py").write_text(f"raise {raised}", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EnginesUnavailable, match=rf"because {name} cannot be loaded: [^\n]+[^.]\.$"):
        import_engines([name])
