#!/usr/bin/env bash
# Starts the app from a fresh clone: Python environment, packages, speech and language models, page.
# A later run installs only changed requirements. Settings come from the environment and .env (docs/settings.md).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/environment.sh

make_environment .venv requirements.txt
exec .venv/bin/python -m scripts.start
