"""The tools that make a call from the command line: what to say to each, and what it says."""

import base64
import json
import re
import subprocess

from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2

# Only a fault reaches it.
LIMIT = 60

MODULE = "../../../proto"


class Answer:
    """What came of a command: messages as JSON, headers, and the error."""

    def __init__(self, messages, headers, code, error=None):
        self.messages, self.headers, self.code = messages, headers.lower(), code
        self.text = (error or {}).get("message", "")
        self.details = dict(map(self.detail, (error or {}).get("details", [])))

    @staticmethod
    def detail(packed):
        """Its name, and itself as JSON: grpcurl gives that, buf the bytes."""
        if "@type" in packed:
            return packed["@type"].rsplit(".", 1)[1], packed
        name = packed["type"].rsplit(".", 1)[1]
        message = getattr(error_details_pb2, name)()
        message.ParseFromString(base64.b64decode(packed["value"] + "=="))
        return name, json_format.MessageToDict(message)


def objects(text):
    """The JSON objects that begin with a line of the text; what stands between is skipped."""
    decoder, found = json.JSONDecoder(), []
    while match := re.search(r"^\{", text, re.M):
        message, end = decoder.raw_decode(text, match.start())
        found.append(message)
        text = text[end:]
    return found


def command(*args):
    return subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=LIMIT)


class Grpcurl:
    """Both of them: the old one knows the reflection of those days, v1alpha, alone."""

    def version(self):
        said = command("grpcurl", "-version")
        number = re.search(r"v(\d\S+)", said.stdout + said.stderr)
        return number[1] if number else go_version("grpcurl")

    def call(self, address, method, request, headers, timeout=10, ca=None):
        flags = [flag for header in headers for flag in ("-H", header)]
        flags += ["-cacert", ca] if ca else ["-plaintext"]
        found = command("grpcurl", "-format-error", "-v", *flags, "-max-time", str(timeout),
                        "-d", json.dumps(request), address, method)
        received = found.stdout.partition("\nResponse headers received:\n")[2].partition("\n\n")[0]
        if found.returncode == 0:
            return Answer(objects(found.stdout), received, "OK")
        (error,) = objects(found.stderr)
        return Answer(objects(found.stdout), received, code_pb2.Code.Name(error["code"]), error)

    def services(self, address):
        return command("grpcurl", "-plaintext", address, "list").stdout.split()


class Buf:
    """By gRPC, which finds the schema by reflection; or by gRPC-Web on HTTP/1.1, with the files."""

    def __init__(self, protocol):
        self.protocol = protocol

    def version(self):
        return command("buf", "--version").stdout.strip()

    def call(self, address, method, request, headers, timeout=10, ca=None):
        flags = [flag for header in headers for flag in ("-H", header)]
        flags += ["--cacert", ca] if ca else []
        flags += ["--schema", MODULE] if self.protocol == "grpcweb" else []
        found = command("buf", "curl", "--protocol", self.protocol, "--emit-defaults", "-v", *flags,
                        "--timeout", f"{timeout}s", "-d", json.dumps(request),
                        f"http{'s' if ca else ''}://{address}/{method}")
        received = "\n".join(re.findall(r"^buf: < \S+ (.*)", found.stderr, re.M))
        if found.returncode == 0:
            return Answer(objects(found.stdout), received, "OK")
        error = objects(found.stderr)[-1]
        return Answer(objects(found.stdout), received, error["code"].upper(), error)

    def services(self, address):
        found = command("buf", "curl", "--protocol", self.protocol, "--list-services", f"http://{address}")
        return found.stdout.split()


def go_version(program):
    """The version of a Go program's module."""
    path = command("which", program).stdout.strip()
    return re.search(r"^\tmod\t\S+\tv(\S+)", command("go", "version", "-m", path).stdout, re.M)[1]
