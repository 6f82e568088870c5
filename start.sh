#!/usr/bin/env bash
# Starts the app from a fresh clone: Python environment, packages, speech and language models, page.
# A later run installs only changed requirements. Settings come from the environment and .env (docs/settings.md).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/environment.sh

make_environment .venv requirements.txt
# Only the embedded server needs the models. A wrong setting is reported by app.py.
if .venv/bin/python -c "from voicechat.config.settings import ServerKind, Settings; raise SystemExit(Settings.load().server_kind != ServerKind.OFFLINE)" 2>/dev/null; then
  .venv/bin/python -m offline.models fetch
fi
exec .venv/bin/python app.py
