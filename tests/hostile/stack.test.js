// Tokens and published keys of a running stack, fetched and judged by the libraries that people use.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as passes } from "node:timers/promises";
import { JwtVerifier } from "aws-jwt-verify";
import { SimpleJwksCache } from "aws-jwt-verify/jwk";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { startStack } from "../browser/stack.js";
import { python } from "./python.js";

/** Long enough for all libraries to see a token while it is valid, short enough to wait for its end. */
const ACCESS_TOKEN_TTL_SECONDS = 6;

/** What API Gateway's JWT authorizers wait for an issuer, and the largest key set that they take (docs/authorizer.md §1.16). */
const GATEWAY_TIMEOUT_MS = 1500;
const GATEWAY_MAX_KEY_SET_BYTES = 150_000;

const decode = (part) => JSON.parse(Buffer.from(part, "base64url"));

async function signIn(origin) {
  const answer = await fetch(`${origin}/example/signin`, {
    method: "POST",
    headers: { "content-type": "application/json", "st-auth-mode": "header" },
    body: JSON.stringify({ userId: "ada" }),
  });
  assert.equal(answer.status, 200);
  return answer.headers.get("st-access-token");
}

/** The token of somebody who would rather be somebody else. */
function tampered(token) {
  const [header, payload, signature] = token.split(".");
  const changed = Buffer.from(JSON.stringify({ ...decode(payload), sub: "admin" })).toString("base64url");
  return [header, changed, signature].join(".");
}

async function fetchJson(url) {
  const answer = await fetch(url, { signal: AbortSignal.timeout(GATEWAY_TIMEOUT_MS) });
  assert.equal(answer.status, 200, url);
  const text = await answer.text();
  return { json: JSON.parse(text), bytes: Buffer.byteLength(text) };
}

/** Each library as a function that gives the subject of a token, or throws. */
const libraries = {
  jose: ({ issuer, jwks_uri, id_token_signing_alg_values_supported: algorithms }) => {
    const keys = createRemoteJWKSet(new URL(jwks_uri));
    return async (token) => (await jwtVerify(token, keys, { issuer, algorithms, typ: "JWT" })).payload.sub;
  },
  "aws-jwt-verify": ({ issuer, jwks_uri: jwksUri }) => {
    // Its own fetcher speaks https only; this is its seam for others.
    const fetcher = { fetch: async (uri) => (await fetch(uri)).arrayBuffer() };
    const jwksCache = new SimpleJwksCache({ fetcher });
    const verifier = JwtVerifier.create({ issuer, jwksUri, audience: null }, { jwksCache });
    return async (token) => (await verifier.verify(token)).sub;
  },
};

describe("a running stack", { concurrency: true }, () => {
  for (const algorithm of ["RS256", "ES256"]) {
    test(`${algorithm}: its tokens are verified by all libraries, tampered and expired ones by none`, async () => {
      const stack = await startStack({
        accessTokenTtl: ACCESS_TOKEN_TTL_SECONDS,
        settings: [`SIGNING_ALGORITHM=${algorithm}`],
      });
      try {
        const issuer = `${stack.origin}/auth`;
        const { json: discovery } = await fetchJson(`${issuer}/.well-known/openid-configuration`);
        const token = await signIn(stack.origin);
        const tokens = [token, tampered(token)];

        const verifiers = Object.entries(libraries).map(([name, library]) => [name, library(discovery)]);
        for (const [name, subject] of verifiers) {
          assert.equal(await subject(token), "ada", name);
          await assert.rejects(subject(tampered(token)), /signature/i, name);
        }
        const verdicts = JSON.parse(python("pyjwt_stack.py", [issuer], JSON.stringify(tokens)));
        assert.deepEqual(verdicts, ["ada", "InvalidSignatureError"]);
        assertGatewayTakes(token, issuer, discovery, await fetchJson(discovery.jwks_uri), algorithm);

        await passes(decode(token.split(".")[1]).exp * 1000 - Date.now());
        for (const [name, subject] of verifiers) {
          await assert.rejects(subject(token), /exp/i, name);
        }
        const late = JSON.parse(python("pyjwt_stack.py", [issuer], JSON.stringify([token])));
        assert.deepEqual(late, ["ExpiredSignatureError"]);
      } finally {
        await stack.stop();
      }
    });
  }
});

/** What API Gateway's built-in JWT authorizers ask of an issuer; those of HTTP APIs take RS256 only. */
function assertGatewayTakes(token, issuer, discovery, keySet, algorithm) {
  const [header, payload] = token.split(".").slice(0, 2).map(decode);
  assert.equal(discovery.issuer, issuer, "the issuer that is configured is the one that is found there");
  assert.equal(payload.iss, issuer);
  assert.ok(keySet.bytes <= GATEWAY_MAX_KEY_SET_BYTES);
  const key = keySet.json.keys.find((key) => key.kid === header.kid);
  const members = { RS256: ["n", "e"], ES256: ["crv", "x", "y"] }[algorithm];
  assert.equal(header.alg, algorithm);
  assert.equal(key.alg, algorithm);
  assert.equal(key.use, "sig");
  assert.equal(key.kty, { RS256: "RSA", ES256: "EC" }[algorithm]);
  for (const member of members) assert.match(key[member], /^[\w-]+$/);
  for (const key of keySet.json.keys) assert.equal(key.d, undefined, "no private half is published");
  const now = Date.now() / 1000;
  assert.ok(payload.exp > now && payload.iat <= now && payload.nbf === undefined);
}
