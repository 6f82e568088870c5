#!/usr/bin/env bash
# Starts the app from a fresh clone: Python environment, packages, speech and language models, page.
# A later run installs only changed requirements. Settings come from the environment and .env (docs/settings.md).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
if [ "$#" -gt 0 ]; then
  usage="start.sh takes no arguments: docs/settings.md lists the settings, such as PORT=7861 ./start.sh"
  case $1 in -h | --help) echo "$usage"; exit 0 ;; esac
  echo "$usage" >&2
  exit 1
fi
. scripts/environment.sh

make_environment .venv requirements.txt
exec .venv/bin/python -m scripts.start
