// docs/core.md §2: what users see of a change of cores, and how nobody sees it. The old core is another of ours, whose
// refresh tokens a proxy gives the form of the reference's.

import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { freePort } from "../browser/harness.js";
import { Client, askCore, startCore } from "./harness.js";

let app;
let cores;
let port;

before(async () => {
  cores = { old: await startCore({ hasDots: true }), new: await startCore() };
});

after(async () => {
  await Promise.all(Object.values(cores).map((core) => core.stop()));
});

beforeEach(async () => {
  port = await freePort();
});

afterEach(() => stopApp());

async function stopApp() {
  app.kill();
  await once(app, "exit");
}

async function startApp(core, override) {
  const uris = Object.fromEntries(Object.entries(cores).map(([name, { connectionURI }]) => [name, connectionURI]));
  const env = { ...process.env, CORES: JSON.stringify(uris), OVERRIDE: `${override}`, PORT: `${port}`, SESSION_CORE: core };
  app = fork(new URL("rollout-app.js", import.meta.url), { env });
  await once(app, "message");
}

/** The same application with another core in use. */
async function change(core, override = true) {
  await stopApp();
  await startApp(core, override);
}

async function signIn() {
  const client = new Client(`http://127.0.0.1:${port}`, "cookie");
  assert.equal((await client.send("POST", "/signin", { userId: "bob" })).status, 200);
  return client;
}

async function me(client) {
  const { status, body } = await client.send("GET", "/me");
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual([body.userId, body.payload.role], ["bob", "member"]);
  return body;
}

const read = (core, handle) => askCore(cores[core], "GET", `/recipe/session?sessionHandle=${handle}`);

test("with another address and nothing else, users have to sign in again", async () => {
  await startApp("old", false);
  const client = await signIn();
  await me(client);
  await change("new", false);
  const { status, body } = await client.send("GET", "/me");
  assert.deepEqual([status, body.message], [401, "try refresh token"]);
  assert.equal((await client.refresh()).status, 401);
  assert.equal(client.refreshToken, undefined, "the tokens are cleared");
});

test("with the override sessions move as they are refreshed, and back, and nobody is signed out", async () => {
  await startApp("old", true);
  const client = await signIn();
  const { handle: former } = await me(client);
  await change("new");
  assert.equal((await client.send("GET", "/me")).status, 401, "one refresh more than usual");
  assert.equal((await client.refresh()).status, 200);
  const { handle, payload } = await me(client);
  assert.equal(payload.movedFrom, former);
  assert.deepEqual((await read("new", handle)).userDataInDatabase, { cart: [1] });
  assert.equal((await read("old", former)).status, "OK", "until it is certain that the client has the new tokens");
  assert.equal((await client.refresh()).status, 200);
  assert.equal((await me(client)).payload.movedFrom, undefined);
  assert.equal((await read("old", former)).status, "UNAUTHORISED");
  await change("old");
  assert.equal((await client.refresh()).status, 200);
  const back = await me(client);
  assert.equal((await read("old", back.handle)).status, "OK");
  assert.equal((await client.refresh()).status, 200);
  assert.equal((await read("new", handle)).status, "UNAUTHORISED");
});

test("an answer that is lost while a session moves does no harm", async () => {
  await startApp("old", true);
  const client = await signIn();
  await change("new");
  assert.equal((await client.copy().refresh()).status, 200, "which the client does not get");
  assert.equal((await client.refresh()).status, 200);
  assert.equal((await client.refresh()).status, 200);
  await me(client);
});

test("a session that has ended is over, whichever core made it", async () => {
  await startApp("old", true);
  const client = await signIn();
  const { handle } = await me(client);
  await askCore(cores.old, "POST", "/recipe/session/remove", { sessionHandles: [handle] });
  await change("new");
  assert.equal((await client.refresh()).status, 401);
  assert.equal(client.refreshToken, undefined, "the tokens are cleared");
});
