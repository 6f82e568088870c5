"""Entry point of `python -m offline.models`."""

from .cli import main

raise SystemExit(main())
