# Functions of start.sh and test.sh: find a Python, make a virtual environment.

SUPPORTED_PYTHON='import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

# find_python: print the first working Python that is supported (a version manager's shim may exist and refuse).
find_python() {
  local name found=""
  for name in python3.12 python3.11 python3.13 python3 python; do
    if "$name" -c "$SUPPORTED_PYTHON" 2>/dev/null; then
      command -v "$name"
      return 0
    fi
    found=${found:-$("$name" -c 'import sys; print("only Python %d.%d" % sys.version_info[:2])' 2>/dev/null || true)}
  done
  echo "Python 3.11, 3.12 or 3.13 is needed; found ${found:-none} (Debian: apt install python3 python3-venv)." >&2
  return 1
}

# make_environment DIR REQUIREMENTS_FILE...: create or update a virtual environment; skip unchanged requirements.
# An intact one needs no other Python.
make_environment() {
  local python="$1/bin/python"
  if ! "$python" -c "import pip; $SUPPORTED_PYTHON" 2>/dev/null; then
    python=$(find_python) || return 1
  fi
  "$python" -m scripts.environment "$@"
}
