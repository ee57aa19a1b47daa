// Keys change while back ends verify: by the function `rotate-keys`, which is invoked here as on AWS.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as passes } from "node:timers/promises";
import { startApp } from "./app.js";
import { Client, startCore } from "./harness.js";

/** How long after its publication a key signs if its predecessor was revoked: docs/keys.md. */
const PUBLISHED_FIRST_MS = 30_000;

let app;
let core;

before(async () => {
  core = await startCore({ accessTokenTtl: 60 });
  app = await startApp(core.connectionURI);
});

after(async () => {
  app.stop();
  await core.stop();
});

/** By the application, or by the stack's own sign-in: another process, which reads the keys when it first signs. */
async function signIn(origin, path) {
  const client = new Client(origin, "header");
  assert.equal((await client.send("POST", path, { userId: "bob" })).status, 200);
  client.origin = app.origin;
  return client;
}

const keyOf = ({ accessToken }) => JSON.parse(Buffer.from(accessToken.split(".")[0], "base64url")).kid;

const statusOfMe = async (client) => (await client.send("GET", "/me")).status;

async function rotateKeys(command) {
  const url = core.stack.output.join("\n").match(/AWS_ENDPOINT_URL_LAMBDA=(\S+)/)[1];
  const answer = await fetch(`${url}/2015-03-31/functions/rotate-keys/invocations`, {
    method: "POST",
    headers: { authorization: "AWS4-HMAC-SHA256 local" },
    body: JSON.stringify(command),
  });
  assert.deepEqual([answer.status, answer.headers.has("x-amz-function-error")], [200, false], await answer.text());
}

test("tokens of the old key and of the new one hold side by side, and nobody is asked to sign in", async () => {
  const client = await signIn(app.origin, "/signin");
  const old = keyOf(client);
  assert.equal(await statusOfMe(client), 200);
  await rotateKeys({ revoke: old });
  await passes(PUBLISHED_FIRST_MS + 1_000);
  const elsewhere = await signIn(core.stack.origin, "/example/signin");
  assert.notEqual(keyOf(elsewhere), old);
  core.calls();
  assert.deepEqual([await statusOfMe(elsewhere), await statusOfMe(client)], [200, 200]);
  assert.deepEqual(core.calls(), ["GET /.well-known/jwks.json"], "once, for the key that was not known");
  for (const each of [client, elsewhere]) {
    assert.equal((await each.send("POST", "/claims", { role: "admin" })).status, 200);
    assert.equal((await each.refresh()).status, 200);
    assert.equal(await statusOfMe(each), 200);
  }
});
