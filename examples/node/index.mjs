// Protected routes in JavaScript. The authorizer in front has verified the access token, so there is nothing to
// install and nothing to verify here: who is signed in is in the event.

export async function handler(event) {
  // An authorizer's context is flat; the complete payload is in it as JSON text.
  const { userId, sessionHandle, tenantId, accessTokenPayload } = event.requestContext.authorizer.lambda;
  const claims = JSON.parse(accessTokenPayload);

  switch (event.routeKey) {
    case "GET /node/me":
      return respond(200, { userId, sessionHandle, tenantId, roles: claims["st-role"]?.v ?? [] });
    case "GET /node/reports":
      return refusedWithout(claims, "st-role", "admin") ?? respond(200, { reports: ["2024", "2025"] });
    default:
      return respond(404, { message: "Not Found" });
  }
}

// The answer that front ends understand when a claim is not what a route asks for: the SDK fires API_INVALID_CLAIM
// with this list. An HTTP API's authorizer cannot write it, so the function does.
function refusedWithout(claims, id, expected) {
  const actual = claims[id]?.v; // claims are kept as {"v": value, "t": time of fetch}
  if (actual?.includes(expected)) return null;
  const message = actual === undefined ? "value does not exist" : "wrong value";
  const reason = { message, expectedToInclude: expected, actualValue: actual };
  return respond(403, { message: "invalid claim", claimValidationErrors: [{ id, reason }] });
}

const respond = (statusCode, body) => ({
  statusCode,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});
