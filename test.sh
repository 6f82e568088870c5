#!/usr/bin/env bash
# Sets up all that the tests need on a fresh machine and runs the whole suite. Arguments go to pytest, in one plain run.
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

make_environment .venv-apart requirements-apart.txt &  # mostly waiting for the network, as the other one is
apart=$!
make_environment .venv requirements-dev.txt
.venv/bin/python -m offline.models fetch
wait "$apart"
if [ $# -gt 0 ]; then
  exec .venv/bin/python -m pytest "$@"
fi

# Three parts. What needs neither the models nor a browser shares the processors, and so do pages of which nothing is
# measured. The models take all of them for themselves, and what is heard in a page must not be late because of other
# tests: those run one after the other.
failed=0 totals=""
part() { # NAME, then pytest's arguments
  local name=$1 seen
  shift
  seen=$(mktemp)
  .venv/bin/python -m pytest "$@" 2>&1 | tee "$seen" || failed=1
  totals+="$name: $(tail -n 1 "$seen")"$'\n'
  rm -f "$seen"
}
part "without models or browser" -n logical --dist worksteal -m "not models and not browser"
part "pages" -n 2 --dist loadfile -m beside
part "models and sound" -m "(models or browser) and not beside"
printf '\n%s' "$totals"
exit "$failed"
