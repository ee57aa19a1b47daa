"""Protected routes in Python.

The authorizer in front has verified the access token, so there is nothing to install and nothing to verify here: who is
signed in is in the event.
"""

import json


def handler(event, _context):
    # An authorizer's context is flat; the complete payload is in it as JSON text.
    session = event["requestContext"]["authorizer"]["lambda"]
    claims = json.loads(session["accessTokenPayload"])

    match event["routeKey"]:
        case "GET /python/me":
            who = {name: session[name] for name in ("userId", "sessionHandle", "tenantId")}
            return respond(200, who | {"roles": claims.get("st-role", {}).get("v", [])})
        case "GET /python/reports":
            return refused_without(claims, "st-role", "admin") or respond(200, {"reports": ["2024", "2025"]})
        case _:
            return respond(404, {"message": "Not Found"})


def refused_without(claims, claim_id, expected):
    """The answer that front ends understand when a claim is not what a route asks for.

    The SDK fires API_INVALID_CLAIM with this list. An HTTP API's authorizer cannot write it, so the function does.
    """
    claim = claims.get(claim_id)  # kept as {"v": value, "t": time of fetch}
    if claim is None:
        reason = {"message": "value does not exist", "expectedToInclude": expected}
    elif expected not in claim["v"]:
        reason = {"message": "wrong value", "expectedToInclude": expected, "actualValue": claim["v"]}
    else:
        return None
    return respond(403, {"message": "invalid claim", "claimValidationErrors": [{"id": claim_id, "reason": reason}]})


def respond(status, body):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}
