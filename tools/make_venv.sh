#!/usr/bin/env bash
# Makes the virtual environment $1 hold exactly what requirements.lock names, every file checked
# against its hash, and eventflow itself as an editable install.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$1
python=${PYTHON:-python3}

refuse() { echo "make venv: $1; choose one with: make PYTHON=/path/to/python" >&2; exit 1; }
command -v "$python" >/dev/null || refuse "there is no '$python' here, Python >= 3.11 is needed"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  refuse "'$python' is $("$python" -V 2>&1), Python >= 3.11 is needed"

# An environment whose interpreter is gone is made anew; one that works is brought up to date.
"$venv/bin/python" -c '' 2>/dev/null || "$python" -m venv --clear "$venv"

# uv installs the lot in seconds where pip takes half a minute. It comes from the lock as well.
uv_lock=$(mktemp)
trap 'rm -f "$uv_lock"' EXIT
awk '/^[a-z]/ { wanted = /^uv==/ } wanted' requirements.lock > "$uv_lock"
"$venv/bin/python" -m pip install --quiet --require-hashes -r "$uv_lock"

# uv does not read pip's configuration. Where it cannot install, pip can: slower, same hashes.
if ! "$venv/bin/uv" pip sync --quiet --python "$venv/bin/python" --require-hashes requirements.lock; then
  echo "make venv: uv could not install, trying pip" >&2
  "$venv/bin/python" -m pip install --quiet --require-hashes -r requirements.lock
fi

# Built with the lock's own hatchling: nothing unpinned is fetched.
"$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
