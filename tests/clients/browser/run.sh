#!/usr/bin/env bash
# Runs the browser's tests: gRPC-Web by connect-web, and the page of the admin port, in Chromium.
# Needs node 20 with npm, chromium, openssl and a built binary; installs the rest into node_modules beside
# this file. Screenshots are left in target/screenshots.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
cd "$here"
npm ci --silent --no-audit --no-fund
PATH="$here/node_modules/.bin:$PATH" npm run --silent generate
export JOBGATE_SCREENSHOTS="$top/target/screenshots"
mkdir -p "$JOBGATE_SCREENSHOTS"
JOBGATE_BIN="${JOBGATE_BIN:-$top/target/debug/jobgate}" npm test
