// Verifies one token with the library that the command line names: for each number on standard input that many times,
// and says how many nanoseconds it took.

import { createPublicKey } from "node:crypto";
import { createInterface } from "node:readline";

const { token, jwks, algorithm, issuer, core } = JSON.parse(process.env.BENCH);

// As each library's own documentation has it, with the keys in memory before the first measured call.
const libraries = {
  async "aws-jwt-verify"() {
    const { JwtVerifier } = await import("aws-jwt-verify");
    const verifier = JwtVerifier.create({ issuer, audience: null, jwksUri: `${issuer}/jwt/jwks.json` });
    verifier.cacheJwks(jwks);
    return () => verifier.verifySync(token);
  },
  async jose() {
    const { createLocalJWKSet, jwtVerify } = await import("jose");
    const keys = createLocalJWKSet(jwks);
    return () => jwtVerify(token, keys, { algorithms: [algorithm], issuer });
  },
  async "fast-jwt"() {
    const { createVerifier } = await import("fast-jwt");
    const { kid } = JSON.parse(Buffer.from(token.split(".")[0], "base64url"));
    const jwk = jwks.keys.find((key) => key.kid === kid);
    const key = createPublicKey({ key: jwk, format: "jwk" }).export({ type: "spki", format: "pem" });
    // With its cache it would not verify at all.
    return createVerifier({ key, algorithms: [algorithm], allowedIss: issuer, cache: false }).bind(null, token);
  },
  async "supertokens-node"() {
    const { default: SuperTokens } = await import("supertokens-node");
    const { default: Session } = await import("supertokens-node/recipe/session/index.js");
    const domain = new URL(issuer).origin;
    SuperTokens.init({
      framework: "awsLambda",
      supertokens: { connectionURI: core },
      appInfo: { appName: "bench", apiDomain: domain, websiteDomain: domain },
      recipeList: [Session.init()],
    });
    return () => Session.getSessionWithoutRequestResponse(token, undefined, { antiCsrfCheck: false });
  },
};

const verify = await libraries[process.argv[2]]();
const first = verify();
const isPromise = first instanceof Promise;
if (!(await first)) throw new Error("nothing was verified");

for await (const line of createInterface({ input: process.stdin })) {
  const times = Number(line);
  const begun = process.hrtime.bigint();
  if (isPromise) for (let i = 0; i < times; i += 1) await verify();
  else for (let i = 0; i < times; i += 1) verify();
  console.log(String(process.hrtime.bigint() - begun));
}
