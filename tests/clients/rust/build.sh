#!/usr/bin/env bash
# Builds the program, which is an example of the package: it shares all crates with it.
set -euo pipefail
cd "$(dirname "$0")/../../.."
cargo build --quiet --locked --example interop
