#!/usr/bin/env bash
# Sets up all that the tests need on a fresh machine and runs the whole suite. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/environment.sh

# A browser for the tests of the page. On Debian as root it is installed; elsewhere CHROMIUM may name one.
if [ -z "${CHROMIUM:-}" ]; then
  CHROMIUM=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
fi
if [ -z "$CHROMIUM" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing Chromium from Debian's packages"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
  CHROMIUM=$(command -v chromium)
fi
if [ -z "$CHROMIUM" ]; then
  echo "The tests of the page need Chromium: install it, or set CHROMIUM to its path." >&2
  exit 1
fi
export CHROMIUM

make_environment .venv requirements-dev.txt
make_environment .venv-agents requirements-agents.txt
.venv/bin/python -m offline.models fetch
exec .venv/bin/python -m pytest "$@"
