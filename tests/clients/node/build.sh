#!/usr/bin/env bash
# Installs the npm packages into node_modules beside this file, as the lock file has them.
set -euo pipefail
cd "$(dirname "$0")"
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --silent --no-audit --no-fund
