#!/usr/bin/env bash
# Installs the tools that PyPI has into .venv beside this file.
set -euo pipefail
cd "$(dirname "$0")"
[ -d .venv ] || python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
