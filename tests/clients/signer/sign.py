"""Signs random requests with the vendor's signer and writes them as src/signing/vectors.json is written."""

import json
import os
import random
import string
import sys
import urllib.parse

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer

COUNT = 500
ODD = string.punctuation + " \täöß€一🦀"


def text(dice, least, most):
    length = dice.randint(least, most)
    return "".join(dice.choice(string.ascii_letters + string.digits + ODD) for _ in range(length))


def word(dice, least, most):
    return "".join(dice.choice(string.ascii_letters + string.digits) for _ in range(dice.randint(least, most)))


def path(dice):
    """As on the request line: some allowed characters are escaped and some are not."""
    safe = dice.choice(["", "~", ":@!$&'()*+,;="])
    segments = [urllib.parse.quote(text(dice, 0, 12), safe=safe) for _ in range(dice.randint(0, 5))]
    return "/" + "/".join(segments)


def query(dice):
    """Each name once: the signer can't order values of different types."""
    kinds = (lambda: text(dice, 0, 12), lambda: dice.randint(-9, 99), lambda: dice.random() < 0.5,
             lambda: [text(dice, 0, 6) for _ in range(dice.randint(1, 4))])
    names = dict.fromkeys(text(dice, 1, 8) for _ in range(dice.randint(0, 5)))
    return [(name, dice.choice(kinds)()) for name in names]


def flat(query):
    """The pairs that go over the wire."""
    for name, value in query:
        for item in value if isinstance(value, list) else [value]:
            yield name, str(item).lower() if isinstance(item, bool) else str(item)


def headers(dice):
    headers = {"Host": f"{word(dice, 1, 12)}.example.com"}
    if dice.random() < 0.5:
        headers["Content-Type"] = dice.choice(["application/json", "application/json;charset=utf8"])
    odd = (f"X-{word(dice, 1, 6)}", f"Odd-{word(dice, 1, 6)}")
    for name in ("X-Project-Id", "X-Security-Token", *odd):
        if dice.random() < 0.5:
            headers[name] = " " * dice.randint(0, 2) + text(dice, 0, 30) + " " * dice.randint(0, 2)
    return headers


def signed(dice, number):
    access_key, secret_key = word(dice, 20, 20), text(dice, 1, 90)
    date = (f"{dice.randint(1970, 2099)}{dice.randint(1, 12):02}{dice.randint(1, 28):02}"
            f"T{dice.randint(0, 23):02}{dice.randint(0, 59):02}{dice.randint(0, 59):02}Z")
    vector = {
        "name": f"request {number}",
        "access_key": access_key,
        "secret_key": secret_key,
        "method": dice.choice(["GET", "POST", "PUT", "DELETE", "PATCH"]),
        "path": path(dice),
        "query": query(dice),
        "headers": headers(dice),
        "date": date,
        "body": text(dice, 0, 200) if dice.random() < 0.5 else "",
    }
    request = SdkRequest(
        method=vector["method"],
        host=vector["headers"]["Host"],
        resource_path=vector["path"],
        query_params=[(name, list(value) if isinstance(value, list) else value) for name, value in vector["query"]],
        header_params={**vector["headers"], "X-Sdk-Date": date},
        body=vector["body"],
    )
    Signer(BasicCredentials(access_key, secret_key)).sign(request)
    vector["query"] = list(flat(vector["query"]))
    vector["headers"] = list(vector["headers"].items())
    return {**vector, "authorization": request.header_params["Authorization"]}


seed = int(os.environ.get("JOBGATE_SEED", random.SystemRandom().randrange(1 << 32)))
print(f"{COUNT} requests of seed {seed}", flush=True)
dice = random.Random(seed)
with open(sys.argv[1], "w", encoding="utf-8") as out:
    json.dump([signed(dice, number) for number in range(COUNT)], out)
