"""A real Keystone in a temporary folder, and what an administrator does with it."""

import dataclasses
import itertools
import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request

from waiting import until

CONFIG = """
[DEFAULT]
log_file = {folder}/keystone.log
[database]
connection = sqlite:///{folder}/keystone.db
[token]
provider = fernet
caching = false
[revoke]
caching = false
[fernet_tokens]
key_repository = {folder}/fernet
[fernet_receipts]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
[identity]
caching = false
# The least that bcrypt takes.
password_hash_rounds = 4
[cache]
# Projects and roles only, which is most of the work of a validation. What may end a token is not
# cached anywhere: it has to count at once.
enabled = true
backend = oslo_cache.dict
"""
HERE = pathlib.Path(__file__).parent
BIN = pathlib.Path(sys.executable).parent
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
NUMBERS = itertools.count(1)
# Where bootstrap puts the administrator.
DEFAULT_DOMAIN = "default"


@dataclasses.dataclass
class Named:
    """Anything of Keystone's with a name and an id."""

    id: str
    name: str


@dataclasses.dataclass
class User(Named):
    password: str


class Keystone:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="keystone-"))
        # Bound and not listening: nobody else gets the port, and it refuses connections while
        # Keystone is down.
        self.reservation = socket.socket()
        self.reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.reservation.bind(("127.0.0.1", 0))
        self.port = self.reservation.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.password = secrets.token_hex(16)
        self.process = None
        self.admin_token = None
        self.lock = threading.Lock()
        (self.folder / "keystone.conf").write_text(CONFIG.format(folder=self.folder))
        (self.folder / "requests.log").touch()
        self.set()

    def bootstrap(self):
        """Makes the database, the keys and the administrator, and starts it."""
        self.manage("db_sync")
        owner = (f"--keystone-user={os.getuid()}", f"--keystone-group={os.getgid()}")
        self.manage("fernet_setup", *owner)
        self.manage("credential_setup", *owner)
        kinds = ("admin", "internal", "public")
        urls = (f"--bootstrap-{kind}-url={self.url}/v3/" for kind in kinds)
        self.manage("bootstrap", *urls, env={"OS_BOOTSTRAP_PASSWORD": self.password})
        self.start()

    def manage(self, *args, env=None):
        command = [BIN / "keystone-manage", "--config-file", self.folder / "keystone.conf", *args]
        done = subprocess.run(
            command,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout

    def start(self):
        command = [sys.executable, HERE / "serve_keystone.py", self.folder, str(self.port)]
        with (self.folder / "output.log").open("a") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output)
        until(self.answers, "Keystone answers")

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError((self.folder / "output.log").read_text())
        try:
            return self.ask("GET", "/v3")[0] == 200
        except urllib.error.URLError:
            return False

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def close(self):
        self.stop()
        self.reservation.close()
        shutil.rmtree(self.folder)

    def set(self, *, latency=0.0, lifetime=3600):
        """For requests from now on: how long a token takes, and how long it lives, in seconds."""
        new = self.folder / "settings.new"
        new.write_text(json.dumps({"latency": latency, "lifetime": lifetime}))
        new.rename(self.folder / "settings.json")

    # Requests.

    def ask(self, method, path, body=None, **headers):
        """Returns the status, the headers and the JSON of an answer, whatever it is."""
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json", **headers},
            method=method,
        )
        try:
            answer = DIRECT.open(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.headers, json.loads(answer.read() or b"null")

    def login(self, user, password, scope):
        """Returns a token, or None where the password is wrong."""
        identity = {"methods": ["password"], "password": {"user": {**user, "password": password}}}
        body = {"auth": {"identity": identity, "scope": scope}}
        status, headers, _ = self.ask("POST", "/v3/auth/tokens", body)
        return headers["x-subject-token"] if status == 201 else None

    def as_admin(self, method, path, body=None, **headers):
        """The administrator's tokens live no longer than others: an ended one is replaced."""
        with self.lock:
            token = self.admin_token
        for _ in range(3):
            if token:
                answer = self.ask(method, path, body, **{"x-auth-token": token}, **headers)
                if answer[0] != 401:
                    return answer
            with self.lock:
                if self.admin_token in (token, None):
                    admin = {"name": "admin", "domain": {"id": DEFAULT_DOMAIN}}
                    self.admin_token = self.login(admin, self.password, {"system": {"all": True}})
                token = self.admin_token
        raise AssertionError(f"the administrator may not {method} {path}")

    def change(self, method, path, body=None, **headers):
        status, _, answer = self.as_admin(method, path, body, **headers)
        assert status < 300, (status, answer)
        return answer

    # What an administrator does.

    def domain(self):
        made = self.change("POST", "/v3/domains", {"domain": {"name": f"domain-{next(NUMBERS)}"}})
        return Named(made["domain"]["id"], made["domain"]["name"])

    def project(self, domain=DEFAULT_DOMAIN):
        project = {"name": f"project-{next(NUMBERS)}", "domain_id": domain}
        made = self.change("POST", "/v3/projects", {"project": project})
        return Named(made["project"]["id"], made["project"]["name"])

    def user(self, project, domain=DEFAULT_DOMAIN):
        """Makes a user who may read what is in the project."""
        user = {"name": f"user-{next(NUMBERS)}", "domain_id": domain}
        user["password"] = secrets.token_hex(16)
        made = self.change("POST", "/v3/users", {"user": user})
        roles = self.change("GET", "/v3/roles?name=reader")["roles"]
        grant = f"/v3/projects/{project.id}/users/{made['user']['id']}/roles/{roles[0]['id']}"
        self.change("PUT", grant)
        return User(made["user"]["id"], user["name"], user["password"])

    def update(self, user, **changes):
        self.change("PATCH", f"/v3/users/{user.id}", {"user": changes})

    def settled(self, user, project):
        """Waits until the user's new tokens are good.

        Keystone writes the time of issue in whole seconds, so what ends a user's tokens, such as
        another password, also ends those that he gets in the rest of that second.
        """

        def good():
            token = self.login({"id": user.id}, user.password, {"project": {"id": project.id}})
            return token and self.token(token)

        until(good, "new tokens are good")

    def revoke(self, token):
        self.change("DELETE", "/v3/auth/tokens", **{"x-subject-token": token})

    def token(self, token):
        """What Keystone knows of a token: None if it is not good, or no longer."""
        shown = {"x-subject-token": token}
        status, _, body = self.as_admin("GET", "/v3/auth/tokens?nocatalog", **shown)
        assert status in (200, 404), (status, body)
        return body["token"] if status == 200 else None

    def requests(self, user):
        """The requests for a token of this user that were answered, the earliest first."""
        notes = map(json.loads, (self.folder / "requests.log").read_text().splitlines())
        return sorted(
            (note for note in notes if note["user"] in (user.id, user.name)),
            key=lambda note: note["begin"],
        )
