"""A custom runtime: asks Lambda's Runtime API for events, hands them to a Python handler, says what came of them."""

import http.client
import json
import os
import runpy
import sys


def call(method, path, body=None):
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    api.request(method, f"/2018-06-01/runtime/{path}", body)
    return api.getresponse()


def report(path, error):
    call("POST", path, json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)}))


try:
    handler = runpy.run_path(sys.argv[1])["handler"]
except Exception as error:
    report("init/error", error)
    raise

while True:
    following = call("GET", "invocation/next")
    invocation = f"invocation/{following.headers['lambda-runtime-aws-request-id']}"
    event = json.load(following)
    try:
        answer = json.dumps(handler(event, None))
    except Exception as error:
        report(f"{invocation}/error", error)
    else:
        call("POST", f"{invocation}/response", answer)
