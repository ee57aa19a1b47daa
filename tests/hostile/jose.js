// The verdicts of `jose`.

import { createLocalJWKSet, jwtVerify } from "jose";
import { isAccessToken } from "./session-claims.js";

/** Whether the library accepts each token, with the published keys and at the time it is presented. */
export async function accepts(jwks, tokens) {
  const keys = createLocalJWKSet(jwks);
  const options = { algorithms: ["RS256", "ES256"], typ: "JWT", requiredClaims: ["exp"] };
  const verdicts = [];
  for (const { token, now, dynamicKeys } of tokens) {
    try {
      const verified = await jwtVerify(token, keys, { ...options, currentDate: new Date(now) });
      verdicts.push(isAccessToken(verified.protectedHeader, verified.payload, dynamicKeys));
    } catch (error) {
      // Whatever is not the library's own verdict is a fault: of these scripts, or one to know about.
      if (!error.code?.startsWith("ERR_J")) throw error;
      verdicts.push(false);
    }
  }
  return verdicts;
}
