#!/usr/bin/env bash
# Runs the cloud's Python SDK against `jobgate simulate`: what satisfies it should satisfy us, too.
# Needs python3 with venv and a built binary; installs the rest into .venv beside this file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
jobgate=${JOBGATE_BIN:-$top/target/debug/jobgate}

[ -d "$here/.venv" ] || python3 -m venv "$here/.venv"
"$here/.venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"

cd "$here"
JOBGATE_BIN="$jobgate" "$here/.venv/bin/python" -m unittest -v
