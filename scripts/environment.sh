# Functions of start.sh and test.sh: find a Python, create a virtual environment, install changed requirements.

# find_python: print the first working Python 3.12 or 3.11 (a version manager's shim may exist and refuse).
find_python() {
  local name
  for name in python3.12 python3.11 python3 python; do
    if "$name" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then
      command -v "$name"
      return 0
    fi
  done
  echo "Python 3.11 or 3.12 is needed and was not found. Install it (Debian: apt-get install python3 python3-venv)." >&2
  return 1
}

# install_requirements DIR REQUIREMENTS_FILE...: install with pip. Replace its traceback behind a SOCKS proxy by a sentence.
install_requirements() {
  local dir=$1 messages status=0
  shift
  messages=$(mktemp)
  "$dir/bin/python" -m pip install --quiet --disable-pip-version-check $(printf -- '-r %s ' "$@") 2>"$messages" || status=$?
  if [ "$status" != 0 ] && grep -q "dependencies for SOCKS" "$messages"; then
    echo "pip cannot use a SOCKS proxy: set https_proxy to an HTTP proxy for this installation." >&2
  else
    cat "$messages" >&2
  fi
  rm -f "$messages"
  return "$status"
}

# make_environment DIR REQUIREMENTS_FILE...: create or update a virtual environment; skip unchanged requirements.
make_environment() {
  local dir=$1 python stamp wanted
  shift
  # Check pip, not only Python: Debian without python3-venv leaves half an environment behind.
  if ! "$dir/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    echo "Creating $dir with $python"
    rm -rf "$dir"
    "$python" -m venv "$dir" || {
      rm -rf "$dir"
      echo "Cannot create a virtual environment (Debian: apt-get install python3-venv)." >&2
      return 1
    }
  fi
  stamp=$dir/.requirements
  wanted=$(cat -- "$@" requirements.txt | cksum)
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing packages from $*"
    install_requirements "$dir" "$@"
    echo "$wanted" >"$stamp"
  fi
}
