"""Waiting for a condition, with a limit that only a fault reaches."""

import time

LIMIT = 300


def until(condition, what):
    """Asks until the condition holds, and returns its value."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {LIMIT} s: {what}")
