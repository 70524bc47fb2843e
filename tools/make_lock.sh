#!/usr/bin/env bash
# Remakes requirements.lock with the uv at $1: every Python >= 3.11, every platform, with hashes.
# The file names packages, never where they come from: that is the machine's configuration.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

made=$(mktemp)
trap 'rm -f "$made"' EXIT
# Versions already locked stay, unless UV_LOCK_ARGS says otherwise (--upgrade).
[ -f requirements.lock ] && cp requirements.lock "$made"
"$1" pip compile pyproject.toml --quiet --universal --python-version 3.11 \
  --extra examples --group dev --generate-hashes --no-header --no-annotate \
  --no-emit-index-url --no-emit-find-links ${UV_LOCK_ARGS:-} --output-file "$made" >/dev/null
{
  echo "# What .venv holds. Remake: make lock (all versions new: UV_LOCK_ARGS=--upgrade make lock)."
  cat "$made"
} > requirements.lock
