#!/usr/bin/env python3
"""Checks what users get to compile: the size of the contract's code in two languages.

Needs that code, which `build.sh` of both generates."""

import pathlib
import sys

CLIENTS = pathlib.Path(__file__).parents[1] / "tests/clients"

# In KiB of source: a quarter more than when this was written. Raise it for what is worth it.
LIMITS = {
    "Go": (55, "go/gen/jobgate/v1/*.go"),
    "Python": (18, "python/.generated/jobgate/v1/*.py"),
}

failed = False
for language, (limit, files) in LIMITS.items():
    sizes = [path.stat().st_size for path in CLIENTS.glob(files)]
    kib = sum(sizes) / 1024
    print(f"{language}: {kib:.1f} KiB in {len(sizes)} files, at most {limit}")
    failed |= not 0 < kib <= limit
sys.exit(failed)
