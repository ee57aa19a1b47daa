// The example that signs in on a provider's own page, as it is, behind the gateway: the SDK in the page, a provider that
// signs its ID tokens, and a stranger who would like to choose who is signed in.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { callMe, countRequests, freePort, isSignedIn, launchBrowser, REFRESH, signInStep } from "./harness.js";
import { CLIENT_ID, startProvider } from "./provider.js";
import { startStack } from "./stack.js";

let provider, stack, browser, page;

before(async () => {
  provider = await startProvider();
  const port = await freePort();
  Object.assign(process.env, {
    OIDC_ISSUER: provider.issuer,
    OIDC_CLIENT_ID: CLIENT_ID,
    OIDC_REDIRECT_URI: `http://127.0.0.1:${port}/`,
    NODE_EXTRA_CA_CERTS: provider.certificate,
  });
  stack = await startStack({ port });
  browser = await launchBrowser();
});
beforeEach(async () => {
  page = await newBrowser();
});
afterEach(async (t) => {
  if (!t.passed) console.error([`server output during "${t.name}":`, ...stack.output].join("\n"));
  Object.assign(provider, { change: {}, isForged: false });
  await Promise.all(browser.contexts().map((context) => context.close()));
});
after(async () => {
  await browser?.close();
  await stack?.stop();
  provider?.stop();
});

/** A page of the website, in a browser that has nothing yet. */
async function newBrowser() {
  const context = await browser.newContext({ baseURL: stack.origin, ignoreHTTPSErrors: true });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  await page.goto("/");
  return page;
}

const start = async (page) => (await signInStep(page, "start", {})).location;

/** Signs in at the provider, which sends the browser back. */
async function signInThere(page, location) {
  await page.goto(location);
  assert.equal(new URL(page.url()).origin, stack.origin);
  return Object.fromEntries(new URL(page.url()).searchParams);
}

const finish = async (page, returned) => (await signInStep(page, "finish", returned)).status;

test("whoever signs in at the provider is signed in, and the session refreshes", async () => {
  const returned = await signInThere(page, await start(page));
  assert.equal(await finish(page, returned), 200);
  assert.equal(await isSignedIn(page), true);
  const { userId, accessTokenPayload } = await page.evaluate(async () => (await fetch("/api/me")).json());
  assert.equal(userId, "ada");
  assert.deepEqual(accessTokenPayload["st-role"].v, ["staff"]);
  assert.ok(accessTokenPayload.auth_time <= Date.now() / 1000 - 20);

  const requests = countRequests(page);
  await page.waitForTimeout(2_500); // the token's life
  assert.deepEqual(await callMe(page), [200]);
  assert.equal(requests(REFRESH), 1);
  assert.equal(await finish(page, returned), 403, "an attempt serves once");
});

test("no two attempts share anything, and the provider learns nothing of the cookie", async () => {
  const locations = [await start(page), await start(page)].map((location) => new URL(location).searchParams);
  const told = locations.flatMap((it) => ["state", "nonce", "code_challenge"].map((name) => it.get(name)));
  assert.equal(new Set(told).size, 6);
  const { value } = (await page.context().cookies()).find(({ name }) => name === "__Host-signin");
  assert.equal(told.some((text) => text === value), false);
});

test("a stranger's attempt cannot be finished in another browser", async () => {
  const stranger = await newBrowser();
  const returned = await signInThere(stranger, await start(stranger));
  assert.equal(await finish(page, returned), 403, "a browser that began none");
  await start(page);
  assert.equal(await finish(page, returned), 403, "a browser that began another");
  assert.equal(await isSignedIn(page), false);
  assert.equal(await finish(stranger, returned), 200, "it would have held");
});

test("a code that another attempt asked for buys nothing", async () => {
  const stranger = await newBrowser();
  const { code } = await signInThere(stranger, await start(stranger));
  const { state } = await signInThere(page, await start(page));
  assert.equal(await finish(page, { code, state }), 403);
  assert.equal(await isSignedIn(page), false);
});

for (const [what, lie] of [
  ["for another attempt", { change: { nonce: "n-1" } }],
  ["for another application", { change: { aud: "app-2" } }],
  ["of another issuer", { change: { iss: "https://other.example" } }],
  ["that has expired", { change: { exp: 1_700_000_000 } }],
  ["that is not signed by the provider", { isForged: true }],
]) {
  test(`an ID token ${what} signs nobody in`, async () => {
    Object.assign(provider, lie);
    const returned = await signInThere(page, await start(page));
    assert.equal(await finish(page, returned), 403);
    assert.equal(await isSignedIn(page), false);
  });
}

test("no page of another site signs its visitor in", async () => {
  const json = { "content-type": "application/json" };
  for (const [headers, status] of [
    [{ "content-type": "text/plain" }, 415],
    [{ ...json, origin: "https://evil.example" }, 403],
    [{ ...json, "sec-fetch-site": "cross-site" }, 403],
  ]) {
    const returned = await signInThere(page, await start(page));
    const sent = { headers, data: JSON.stringify(returned) };
    const answer = await page.context().request.post("/example/cognito/signin/finish", sent);
    assert.deepEqual([answer.status(), "front-token" in answer.headers()], [status, false]);
  }
  const form = { headers: { "content-type": "text/plain" }, data: "{}" };
  const begun = await page.context().request.post("/example/cognito/signin/start", form);
  assert.deepEqual([begun.status(), "set-cookie" in begun.headers()], [415, false]);
});
