#!/usr/bin/env bash
# Checks what is in deploy/: manifests against Kubernetes' schemas, alerts by their tests, and that every metric that
# alerts and the dashboard name is one that a running gateway has.
# Needs python3 with venv, go, promtool and a built binary; installs the rest under target/.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
jobgate=${JOBGATE_BIN:-$top/target/debug/jobgate}
tools=$top/target/ci-tools
cd "$top"

[ -d "$tools" ] || python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
[ -x "$tools/bin/kustomize" ] ||
  GOBIN="$tools/bin" GOFLAGS=-mod=mod go install sigs.k8s.io/kustomize/kustomize/v5@v5.6.0
manifests=$(mktemp --suffix=.yaml)
trap 'rm -f "$manifests"' EXIT
"$tools/bin/kustomize" build deploy/kubernetes >"$manifests"
"$tools/bin/kubernetes-validate" --strict --quiet "$manifests"
"$tools/bin/python" -c 'import sys, yaml; [list(yaml.safe_load_all(open(path))) for path in sys.argv[1:]]' \
  deploy/istio/*.yaml deploy/linkerd/*.yaml

promtool check rules deploy/prometheus/alerts.yaml
promtool test rules deploy/prometheus/alerts_test.yaml
JOBGATE_BIN="$jobgate" "$tools/bin/python" -m unittest discover -v -s "$here"
