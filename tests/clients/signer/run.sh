#!/usr/bin/env bash
# Has the vendor's own signer sign random requests, and checks that `jobgate::signing` makes the same signatures.
# JOBGATE_SEED=N repeats a run. Needs python3 with venv and cargo; installs the rest into .venv beside this file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)

[ -d "$here/.venv" ] || python3 -m venv "$here/.venv"
"$here/.venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/.venv/bin/python" "$here/sign.py" "$work/signed.json"
cd "$top"
JOBGATE_SIGNED_REQUESTS="$work/signed.json" cargo test --locked --lib signing::
