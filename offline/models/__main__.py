"""`python -m offline.models`."""

from .cli import main

raise SystemExit(main())
