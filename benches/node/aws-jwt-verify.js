// The lightest authorizer that one would write in Node: AWS's own library, with the keys in the environment.

import { JwtVerifier } from "aws-jwt-verify";

const issuer = process.env.ISSUER;
const verifier = JwtVerifier.create({ issuer, audience: null, jwksUri: `${issuer}/jwt/jwks.json` });
verifier.cacheJwks(JSON.parse(process.env.PINNED_JWKS));

export const handler = async ({ cookies }) => {
  const cookie = cookies.find((cookie) => cookie.startsWith("sAccessToken="));
  try {
    const { sub: userId, ...payload } = verifier.verifySync(cookie.slice("sAccessToken=".length));
    return { isAuthorized: true, context: { userId, accessTokenPayload: JSON.stringify(payload) } };
  } catch {
    return { isAuthorized: false };
  }
};
