"""Pages of a PDF as text. The PDF is read in a process of its own.

Reading a PDF takes long and needs memory, and a broken one may never end. In another process neither disturbs a call.
This file is also that process's program: bytes of a PDF in, one JSON line out for each page.
"""

from __future__ import annotations

import json
import subprocess
import sys

MAX_PAGES = 2000
"""Pages of one PDF."""
MAX_PAGE_CHARS = 20_000
"""Characters of one page."""
PDF_SECONDS = 60.0
"""Seconds that one PDF may take."""


def pdf_pages(content: bytes, seconds: float = PDF_SECONDS) -> list[str]:
    """Return the texts of a PDF's pages; [] when it cannot be read. Pages read before an error are kept."""
    command = [sys.executable, "-I", __file__]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    pages: list[str] = []
    for line in done.stdout.splitlines()[:MAX_PAGES]:
        try:
            page = json.loads(line)
        except ValueError:
            break
        pages.append(page[:MAX_PAGE_CHARS] if isinstance(page, str) else "")
    return pages


def write_pages() -> None:
    """Read a PDF from the standard input; write each page's text as one JSON line."""
    import io
    import logging

    from pypdf import PdfReader

    logging.disable()
    reader = PdfReader(io.BytesIO(sys.stdin.buffer.read()))
    for number in range(min(len(reader.pages), MAX_PAGES)):
        try:
            text = reader.pages[number].extract_text()
        except Exception:  # one broken page: the others are still of use
            text = ""
        sys.stdout.write(json.dumps(text[:MAX_PAGE_CHARS]) + "\n")


if __name__ == "__main__":
    write_pages()
