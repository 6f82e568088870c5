#!/usr/bin/env bash
# Everything from a fresh clone to a page that talks: Python environment, packages, speech and language models, app.
# Run again, it installs nothing that has not changed. Settings come from the environment and from .env (see README).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/environment.sh

make_environment .venv requirements.txt
# With a server of one's own the models are not needed. A bad setting is explained by the app itself.
if .venv/bin/python -c "from voicechat.config.settings import *; raise SystemExit(Settings.load().kind != ServerKind.OFFLINE)" 2>/dev/null; then
  .venv/bin/python -m offline.models fetch
fi
exec .venv/bin/python app.py
