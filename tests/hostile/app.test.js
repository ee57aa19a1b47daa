// The example app (examples/app) on the running stack: its key makes its tokens worthless to anybody else. `dpop` and
// another key say what proofs count.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as passes } from "node:timers/promises";
import { generateKeyPair, generateProof } from "dpop";
import { App } from "../../examples/app/app.mjs";
import { startStack } from "../browser/stack.js";

const ACCESS_TOKEN_TTL_SECONDS = 2;
const REFRESH = "/auth/session/refresh";

let stack;
before(async () => {
  stack = await startStack({ accessTokenTtl: ACCESS_TOKEN_TTL_SECONDS, settings: ["DEVICE_BINDING=require", "DPOP_NONCE=true"] });
});
after(() => stack?.stop());

async function status(method, path, headers) {
  return (await fetch(stack.origin + path, { method, headers })).status;
}

test("the app signs in, calls, and refreshes; copied tokens are refused and cost it nothing", async () => {
  const [app, thief] = [await App.start(stack.origin), await App.start(stack.origin)];
  assert.equal((await app.signIn("/example/signin", { userId: "ada" })).status, 200);
  assert.equal((await app.call("GET", "/api/me")).status, 200);

  const { access, refresh } = app.tokens;
  assert.equal(await status("GET", "/api/me", { authorization: `Bearer ${access}` }), 401);
  assert.equal(await status("GET", "/api/me", { cookie: `sAccessToken=${access}` }), 401);
  const foreign = await thief.proof("GET", "/api/me", access);
  assert.equal(await status("GET", "/api/me", { authorization: `DPoP ${access}`, dpop: foreign }), 401);
  const authorization = `Bearer ${refresh}`;
  assert.equal(await status("POST", REFRESH, { authorization }), 401);
  assert.equal(await status("POST", REFRESH, { authorization, dpop: await thief.proof("POST", REFRESH) }), 401);

  await passes(ACCESS_TOKEN_TTL_SECONDS * 1000 + 500);
  assert.equal((await app.call("GET", "/api/me")).status, 200);
  assert.notEqual(app.tokens.refresh, refresh);
});

for (const algorithm of ["ES256", "Ed25519"]) {
  test(`proofs that the package dpop makes by ${algorithm} count`, async () => {
    const keys = await generateKeyPair(algorithm);
    let nonce;
    const once = async (method, path, headers, body, accessToken) => {
      const proof = await generateProof(keys, stack.origin + path, method, nonce, accessToken);
      return fetch(stack.origin + path, { method, headers: { ...headers, dpop: proof }, body });
    };
    const send = async (...request) => {
      const answer = await once(...request);
      if (answer.status !== 401) return answer;
      assert.match(answer.headers.get("www-authenticate"), /^DPoP error="use_dpop_nonce"/);
      nonce = answer.headers.get("dpop-nonce");
      return once(...request);
    };
    const headers = { "content-type": "application/json", "st-auth-mode": "header" };
    const signedIn = await send("POST", "/example/signin", headers, JSON.stringify({ userId: "ada" }));
    assert.equal(signedIn.status, 200);
    const [access, refresh] = ["st-access-token", "st-refresh-token"].map((name) => signedIn.headers.get(name));
    assert.equal((await send("GET", "/api/me", { authorization: `DPoP ${access}` }, undefined, access)).status, 200);
    assert.equal((await send("POST", REFRESH, { authorization: `Bearer ${refresh}` })).status, 200);
  });
}
