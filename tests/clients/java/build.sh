#!/usr/bin/env bash
# Generates the code and builds the programs into target/, by Maven, if there is anything new.
set -euo pipefail
cd "$(dirname "$0")"

[ -f target/classpath ] && [ -z "$(find pom.xml src ../../../proto/jobgate -newer target/classpath)" ] ||
  mvn --quiet --batch-mode compile dependency:build-classpath -Dmdep.outputFile=target/classpath
