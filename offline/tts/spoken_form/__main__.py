"""Command line: `python -m offline.tts.spoken_form zh` (or `en`) reads lines and prints how each is said."""

from __future__ import annotations

import sys
from typing import get_args

from offline.protocol.worker_messages import LanguageCode

from . import spoken_form


def main(arguments: list[str]) -> int:
    """Return the exit code: 2 for a language that is not known."""
    languages: dict[str, LanguageCode] = {language: language for language in get_args(LanguageCode)}
    if len(arguments) != 1 or arguments[0] not in languages:
        sys.stderr.write(f"usage: python -m offline.tts.spoken_form {{{','.join(languages)}}}\n")
        return 2
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for line in sys.stdin:
        print(spoken_form(line.rstrip("\r\n"), languages[arguments[0]]).replace("\n", " "), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
