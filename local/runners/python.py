"""Keeps a Python handler warm, as a sandbox does: an event per line in, an answer per line out."""

import json
import runpy
import sys

# Standard output belongs to the answers; what the handler prints goes where logs go.
answers, sys.stdout = sys.stdout, sys.stderr

handler = runpy.run_path(sys.argv[1])["handler"]

for line in sys.stdin:
    try:
        reply = {"answer": handler(json.loads(line), None)}
    except Exception as error:
        reply = {"errorType": type(error).__name__, "errorMessage": str(error)}
    print(json.dumps(reply), file=answers, flush=True)
