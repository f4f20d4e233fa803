#!/usr/bin/env bash
# Fuzzes each target for so many seconds, from its kept inputs: fuzz/run.sh SECONDS [TARGET...]
# Two targets at a time, one core each. What is found goes to fuzz/finds and stays out of the tree; an
# input that breaks something goes to fuzz/artifacts, and the script fails.
set -euo pipefail
cd "$(dirname "$0")/.."
export seconds=${1:?usage: fuzz/run.sh SECONDS [TARGET...]}
shift
[ $# -gt 0 ] || set -- $(ls fuzz/corpus)

command -v cargo-fuzz >/dev/null || cargo install --locked --quiet cargo-fuzz
# Sanitizers and coverage are flags of the nightly compiler; the pinned one takes them with this.
export RUSTC_BOOTSTRAP=1
cargo fuzz build

fuzz() {
  local target=$1 finds=fuzz/finds/$1 length=4096 log
  case $target in ids | times | waits) length=320 ;; esac
  log=$finds.log
  mkdir -p "$finds"
  # The first folder gets what is new.
  if cargo fuzz run "$target" "$finds" "fuzz/corpus/$target" -- -max_total_time="$seconds" \
    -max_len=$length -len_control=20 -dict=fuzz/words.dict -timeout=10 -rss_limit_mb=2048 >"$log" 2>&1; then
    echo "$target: $(grep -o '^Done.*' "$log")"
  else
    echo "$target: FAILED"
    tail -n 40 "$log"
    return 1
  fi
}
export -f fuzz
printf '%s\n' "$@" | xargs -P 2 -I '{}' bash -c 'fuzz {}'
