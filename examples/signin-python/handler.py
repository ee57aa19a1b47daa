"""Sign-in in Python: check a password, and let Sesam's create-session make the session.

What that function answers is returned as it is, errors included. It also refuses what a foreign page may have sent
(login CSRF): forms, and other origins.
"""

import hashlib
import hmac
import json
import os
import time
import uuid

import boto3  # in Lambda's runtime

functions = boto3.client("lambda")

# Your users. This one's password is "correct horse battery staple".
USERS = {
    "ada@example.com": {
        "id": "ada",
        "roles": ["member"],
        "salt": "c2FsdA",
        "hash": "368b6a72f89e42372fc4e001df190484a463f7e8c77ad3cf11e3babe4c8031c3",
    }
}


def handler(event, _context):
    try:
        body = json.loads(event["body"])
        email, password = str(body["email"]), str(body["password"])
    except (KeyError, TypeError, ValueError):
        return message(400, "send email and password")
    user = USERS.get(email)
    # An unknown address takes as long as a wrong password.
    expected = user or {"salt": "", "hash": ""}
    salt = expected["salt"].encode()
    presented = hashlib.scrypt(password.encode(), salt=salt, n=16384, r=8, p=1, dklen=32)
    if not hmac.compare_digest(presented.hex(), expected["hash"]):
        return message(403, "wrong e-mail address or password")

    now = time.time()
    session = {
        "userId": user["id"],
        "claims": {"st-role": {"v": user["roles"], "t": int(now * 1000)}},
        "authentication": {"authTime": int(now), "amr": ["pwd"]},
        "idempotencyKey": str(uuid.uuid4()),  # should boto3 send this twice, there is one session
        "event": event | {"body": None},  # the password stays here
    }
    answer = functions.invoke(FunctionName=os.environ["CREATE_SESSION_FUNCTION"], Payload=json.dumps(session))
    answer = json.load(answer["Payload"])
    if "response" not in answer:
        raise RuntimeError(f"create-session failed: {answer.get('errorType')}")
    if "error" in answer:
        print(answer["error"]["code"], answer["error"]["message"])
    return answer["response"]


def message(status, text):
    return {"statusCode": status, "body": json.dumps({"message": text})}
