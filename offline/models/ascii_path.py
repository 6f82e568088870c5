"""ASCII paths: another name of a model file for engines that cannot open `C:\\Users\\王小明`.

CTranslate2 and Silero open files by narrow strings, which Windows reads in its legacy code page. They get a path of
ASCII letters only: the file's own, its short name (8.3), or a link in a private folder. Links are a symlink, or on
Windows a junction, which needs no privilege.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path


@contextmanager
def ascii_path(path: Path) -> Iterator[Path | None]:
    """Yield a path of ASCII letters to the file or folder `path`; or None. It may end with the context.

    The name keeps its suffix, by which engines recognise a format.
    """
    with ExitStack() as stack:
        yield _find_ascii_path(path, stack)


def _find_ascii_path(path: Path, stack: ExitStack) -> Path | None:
    if str(path).isascii():
        return path
    short = _short_path(path)
    if short is not None and str(short).isascii():
        return short
    for parent in link_folders():
        with suppress(OSError):
            folder = Path(stack.enter_context(_private_folder(parent)))
            return _create_link(path.absolute(), folder)
    return None


def link_folders(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> list[Path]:
    """Return the folders with ASCII paths in which a link may be created, best first."""
    candidates = [tempfile.gettempdir()]
    if platform == "win32":
        candidates += [environ[name] for name in ("PROGRAMDATA", "PUBLIC") if environ.get(name)]
        if drive := environ.get("SYSTEMDRIVE"):
            candidates.append(f"{drive}\\")  # "C:" alone is the current folder of that drive
    else:
        candidates.append("/tmp")
    return [Path(each) for each in dict.fromkeys(candidates) if each.isascii()]


@contextmanager
def _private_folder(parent: Path) -> Iterator[str]:
    """Yield a new folder that only this user may enter; remove it and its links, not their targets, at the end."""
    with tempfile.TemporaryDirectory(prefix="voice-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield folder


def _create_link(path: Path, folder: Path) -> Path:
    """Return a link in `folder` to `path`. Raises `OSError`."""
    name = path.name if path.name.isascii() else f"model{path.suffix if path.suffix.isascii() else ''}"
    if sys.platform != "win32":
        link = folder / name
        link.symlink_to(path)
        return link
    import _winapi

    target = path if path.is_dir() else path.parent
    if target != path and name != path.name:
        raise FileNotFoundError("a junction names folders only")
    _winapi.CreateJunction(str(target), str(folder / "models"))
    return folder / "models" if target == path else folder / "models" / name


def _short_path(path: Path) -> Path | None:
    """Return Windows' short name (8.3) of an existing path; None elsewhere, and where short names are switched off."""
    if sys.platform != "win32":
        return None
    import ctypes

    buffer = ctypes.create_unicode_buffer(32768)
    length = ctypes.windll.kernel32.GetShortPathNameW(str(path), buffer, len(buffer))
    return Path(buffer.value) if 0 < length < len(buffer) else None
