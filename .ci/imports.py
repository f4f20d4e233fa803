#!/usr/bin/env python3
"""The import rule: rooms import in one direction only."""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent / "src"
# What each room of the library may import, and which crates it must not name.
ALLOWED = {
    "proto": set(),
    "files": set(),
    "job": set(),
    "signing": set(),
    "telemetry": set(),
    "access": {"files", "job"},
    "upstream": {"files", "job", "signing", "telemetry"},
    "watch": {"job", "telemetry", "upstream"},
    "grpc": {"access", "proto", "job", "telemetry", "upstream", "watch"},
    "server": {"access", "files", "proto", "grpc", "telemetry", "upstream"},
    "simulator": set(),
    "measuring": {"grpc", "job", "upstream"},
    "fuzzing": {"access", "grpc", "job", "proto", "signing", "simulator", "upstream"},
}
BANNED = {
    "access": ("tonic", "http::", "rustls", "axum", "hyper"),
    "job": ("tonic", "http::", "reqwest", "axum", "serde"),
    "signing": ("http::", "reqwest", "std::time"),
    "upstream": ("tonic::", "axum::", "hyper::server"),
    "watch": ("tonic", "http::", "reqwest", "axum", "hyper", "prost"),
    "simulator": ("reqwest::", "tonic::"),
}

wrong = []
for path in sorted(TOP.rglob("*.rs")):
    parts = path.relative_to(TOP).parts
    room = parts[0].removesuffix(".rs")
    if room in ("main", "lib", "cli"):
        continue
    if room not in ALLOWED:
        wrong.append(f"{path}: the room {room} is not in the import rule")
        continue
    text = re.sub(r"//.*", "", path.read_text())
    text = text.split("#[cfg(test)]\nmod tests {")[0]
    names = set(re.findall(r"\bcrate::(\w+)", text))
    for block in re.findall(r"use crate::\{(.*?)\};", text, re.S):
        depth = 0
        for token in re.findall(r"\w+|[{}]", block):
            if token == "{":
                depth += 1
            elif token == "}":
                depth -= 1
            elif depth == 0 and (token in ALLOWED or token == "cli"):
                names.add(token)
    for name in sorted((names & (set(ALLOWED) | {"cli"})) - ALLOWED[room] - {room}):
        wrong.append(f"{path}: {room} must not import {name}")
    for banned in (*BANNED.get(room, ()), "clap"):
        if re.search(rf"\b{re.escape(banned)}", text):
            wrong.append(f"{path}: {room} must not name {banned}")

print("\n".join(wrong) or "imports: one way")
sys.exit(bool(wrong))
