#!/usr/bin/env bash
# Builds the tools that are Go programs into .bin beside this file, and installs what `play.py` needs.
set -euo pipefail
cd "$(dirname "$0")"
../tools/build.sh
for tool in github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4 \
  github.com/grpc-ecosystem/grpc-health-probe@v0.4.61 github.com/bojand/ghz/cmd/ghz@v0.93.0; do
  name=${tool##*/}
  # Not in one module: each needs the libraries that it was made with.
  [ -x ".bin/${name%@*}" ] && go version -m ".bin/${name%@*}" | grep -q "^.mod.*${name#*@}" ||
    GOBIN=$PWD/.bin go install "$tool"
done
