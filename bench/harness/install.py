"""Builds and installs what is measured and what measures, below `target/bench`."""

import os
import pathlib
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
PEERS = TOP / "bench" / "peers"
PROFILE = TOP / "bench" / "jobgate.profdata"
WORK = TOP / "target" / "bench"
LOAD = WORK / "load" / "release" / "jobgate-load"
GATEWAY_GO = WORK / "gateway-go"
VENV = WORK / "venv" / "bin"
ENVOY = VENV / "envoy"
DESCRIPTORS = WORK / "envoy.pb"
CERTIFICATE, KEY = WORK / "certificate.pem", WORK / "key.pem"

GO_PLUGINS = (
    "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12",
    "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
)


def run(*command, cwd=TOP, **environment):
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, stdout=sys.stderr)
    if done.returncode != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}")


def jobgate():
    """Builds the program as the image has it, and says where it is."""
    return build("jobgate", f"-Cprofile-use={PROFILE}")


def build(name, flags):
    # No --target: with one, the profile's functions would have other names.
    run("cargo", "build", "--release", "--locked", "--bin", "jobgate", RUSTFLAGS=flags,
        CARGO_TARGET_DIR=WORK / name, CARGO_INCREMENTAL="0")
    return WORK / name / "release" / "jobgate"


def load():
    manifest = TOP / "bench" / "load" / "Cargo.toml"
    run("cargo", "build", "--release", "--locked", "--manifest-path", manifest,
        CARGO_TARGET_DIR=WORK / "load", CARGO_INCREMENTAL="0")
    if not CERTIFICATE.exists():
        run(LOAD, "certificate", "--certificate", CERTIFICATE, "--key", KEY)


def python():
    if not VENV.exists():
        run(sys.executable, "-m", "venv", VENV.parent)
    run(VENV / "pip", "install", "--quiet", "--disable-pip-version-check",
        "-r", PEERS / "requirements.txt")


def protoc(*arguments, **environment):
    run(VENV / "python", "-m", "grpc_tools.protoc", *arguments, **environment)


def envoy():
    [packages] = (VENV.parent / "lib").glob("python*/site-packages")
    protoc("-I", PEERS / "envoy", "-I", packages, "--include_imports",
           f"--descriptor_set_out={DESCRIPTORS}", "jobs.proto")


def go():
    source = WORK / "go-source"
    shutil.copytree(PEERS / "go", source, dirs_exist_ok=True)
    plugins = WORK / "go-plugins"
    if not plugins.exists():
        for plugin in GO_PLUGINS:
            run("go", "install", plugin, GOBIN=plugins)
    module = "jobgate.dev/bench/gateway"
    options = f"Mjobgate/v1/jobs.proto={module}/jobgatev1,module={module}"
    protoc("-I", "proto", f"--go_out={source}", f"--go_opt={options}", f"--go-grpc_out={source}",
           f"--go-grpc_opt={options}", "jobgate/v1/jobs.proto",
           PATH=f"{plugins}:{os.environ['PATH']}")
    run("go", "build", "-o", GATEWAY_GO, ".", cwd=source)


def everything(systems, binary):
    """Returns the jobgate to be measured."""
    WORK.mkdir(parents=True, exist_ok=True)
    load()
    if {"envoy", "go"} & set(systems):
        python()
    if "envoy" in systems:
        envoy()
    if "go" in systems:
        go()
    if binary or "jobgate" not in systems:
        return binary
    return jobgate()
