#!/usr/bin/env bash
# Adds to the kept inputs of each target what fuzz/run.sh found: fuzz/keep.sh [TARGET...]
# Only what reaches code that the kept ones do not, and of that the largest, which reach the most: all
# would be hundreds.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- $(ls fuzz/corpus)
export RUSTC_BOOTSTRAP=1
mkdir -p fuzz/finds
for target; do
  kept=fuzz/corpus/$target
  best=$(mktemp -d)
  cp "$kept"/* "$best"
  cargo fuzz run "$target" "$best" "fuzz/finds/$target" -- -merge=1 -use_counters=0 -max_len=1024 \
    >"fuzz/finds/$target.log" 2>&1
  # Inputs have the hashes of their bytes as names.
  ls -S "$best" | grep -vxF -f <(ls "$kept") | head -n 16 | while read -r name; do
    cp "$best/$name" "$kept"
  done || true
  rm -r "$best"
  echo "$target: $(ls "$kept" | wc -l) inputs"
done
