"""Serves Keystone on loopback: `serve_keystone.py FOLDER PORT`. iam.py starts it.

Around the real application it does two things. It notes each request for a token in
`requests.log`, a JSON object on a line: who asked, what came of it, from when until when. And it
looks into `settings.json` for `latency`, the seconds by which such a request is held up, and
`lifetime`, the seconds that a token lives.
"""

import io
import json
import pathlib
import sys
import threading
import time

folder, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])
# Keystone reads the command line when it is imported, and ends at words that it does not know.
sys.argv = ["keystone", "--config-file", str(folder / "keystone.conf")]

import waitress
from keystone import conf
from keystone.wsgi.api import application

LOCK = threading.Lock()


def who(body):
    """The name or id of the user who asks."""
    try:
        user = json.loads(body)["auth"]["identity"]["password"]["user"]
        return user.get("id") or user["name"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def noting(environ, start_response):
    settings = json.loads((folder / "settings.json").read_text())
    conf.CONF.set_override("expiration", settings["lifetime"], "token")
    if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) != ("POST", "/v3/auth/tokens"):
        return application(environ, start_response)
    begin = time.monotonic()
    body = environ["wsgi.input"].read()
    environ["wsgi.input"] = io.BytesIO(body)
    time.sleep(settings["latency"])
    answered = []

    def start(status, headers, exc_info=None):
        answered.append(int(status.split()[0]))
        return start_response(status, headers, exc_info)

    answer = application(environ, start)
    note = {"user": who(body), "status": answered[-1], "begin": begin, "end": time.monotonic()}
    # Before the answer goes out: who has it can rely on the note.
    with LOCK, (folder / "requests.log").open("a") as log:
        print(json.dumps(note), file=log, flush=True)
    return answer


waitress.serve(noting, host="127.0.0.1", port=port, threads=8)
