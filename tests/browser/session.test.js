// The published SDK on the demo page: what a user sees.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as passes } from "node:timers/promises";
import { accessTokenExpires, callMe, countRequests, isSignedIn, REFRESH, signIn, useStage } from "./harness.js";

const stage = useStage();

test("signing in shows the session of that user", async () => {
  const { page } = stage;
  await page.goto("/");
  await page.locator("#user-id").fill("Zoë");
  await page.locator("#sign-in").click();
  await page.locator("#session").waitFor();
  assert.equal(await page.locator("#user").textContent(), "Zoë");
});

test("the page runs without script errors and within its content security policy", async () => {
  const { page } = stage;
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (/content security policy/i.test(message.text())) complaints.push(message.text());
  });
  await signIn(page);
  await page.locator("#call-me").click();
  await page.locator("#answer").waitFor();
  assert.deepEqual(complaints, []);
});

test("without the bundle the page says how to build it", async () => {
  const { page } = stage;
  await page.route("**/supertokens.js", (route) => route.fulfill({ status: 404 }));
  await page.goto("/");
  await page.locator("#no-bundle").waitFor();
  assert.match(await page.locator("#no-bundle").textContent(), /npm ci && npm run build/);
});

test("in cookie mode no token is within reach of scripts", async () => {
  const { page } = stage;
  await signIn(page);
  const names = await page.evaluate(() => document.cookie.split("; ").map((pair) => pair.split("=")[0]).sort());
  assert.deepEqual(names, ["sFrontToken", "st-last-access-token-update"]);
});

test("a protected call names the signed-in user", async () => {
  const { page } = stage;
  await signIn(page);
  await page.locator("#call-me").click();
  await page.locator("#answer").filter({ hasText: '"userId": "ada"' }).waitFor();
});

test("a state-changing call works", async () => {
  const { page } = stage;
  await signIn(page);
  await page.locator("#like").click();
  await page.locator("#answer").filter({ hasText: /→ 200\n[^]*"likes": \d+/ }).waitFor();
});

test("the call after expiry succeeds without the user noticing", async () => {
  const { page } = stage;
  await signIn(page);
  await accessTokenExpires(page);
  assert.deepEqual(await callMe(page), [200]);
});

test("ten calls at once after expiry all succeed", async () => {
  const { page } = stage;
  await signIn(page);
  await accessTokenExpires(page);
  assert.deepEqual(await callMe(page, 10), Array(10).fill(200));
});

test("ten calls at once after expiry cause one refresh", async () => {
  const { page } = stage;
  await signIn(page);
  const requests = countRequests(page);
  await accessTokenExpires(page);
  await callMe(page, 10);
  assert.equal(requests(REFRESH), 1);
});

test("a refresh shortly after a refresh gets the same refresh token", async () => {
  const { page } = stage;
  await signIn(page);
  await page.locator("#refresh").click();
  await page.locator("#log li").filter({ hasText: "new refresh token" }).waitFor();
  await page.locator("#refresh").click();
  await page.locator("#log li").filter({ hasText: "same refresh token" }).waitFor();
});

test("two tabs that expire together stay signed in and refresh at most once each", async (t) => {
  const { context, page } = stage;
  await signIn(page);
  const other = await context.newPage();
  await other.goto("/");
  await other.locator("#session").waitFor();
  const requests = countRequests(context);
  await Promise.all([accessTokenExpires(page), accessTokenExpires(other)]);

  const statuses = (await Promise.all([callMe(page, 5), callMe(other, 5)])).flat();

  t.diagnostic(`refresh requests: ${requests(REFRESH)}`);
  assert.deepEqual(statuses, Array(10).fill(200));
  assert.ok(requests(REFRESH) <= 2);
  assert.ok(await isSignedIn(page));
});

test("after signing out a protected call is refused", async () => {
  const { page } = stage;
  await signIn(page);
  await page.locator("#sign-out").click();
  await page.locator("#signin-form").waitFor();
  assert.deepEqual(await callMe(page), [401]);
});

test("signing out takes the cookies away", async () => {
  const { context, page } = stage;
  await signIn(page);
  await page.locator("#sign-out").click();
  await page.locator("#signin-form").waitFor();
  const names = (await context.cookies()).map(({ name }) => name);
  assert.deepEqual(names.filter((name) => /^s(Access|Refresh|Front)/.test(name)), []);
});

test("header mode uses no HttpOnly cookie", async () => {
  const { context, page } = stage;
  await signIn(page, "/?method=header");
  assert.deepEqual((await context.cookies()).filter(({ httpOnly }) => httpOnly), []);
});

test("a session started in cookie mode survives the change to header mode", async () => {
  const { page } = stage;
  await signIn(page);
  await page.goto("/?method=header");
  await accessTokenExpires(page);
  assert.deepEqual(await callMe(page), [200]);
});

test("in header mode the call after expiry succeeds", async () => {
  const { page } = stage;
  await signIn(page, "/?method=header");
  await accessTokenExpires(page);
  assert.deepEqual(await callMe(page), [200]);
});

test("in header mode a protected call is refused after signing out", async () => {
  const { page } = stage;
  await signIn(page, "/?method=header");
  await page.locator("#sign-out").click();
  await page.locator("#signin-form").waitFor();
  assert.deepEqual(await callMe(page), [401]);
});

// The server refreshes, but its answer never arrives: the device is left with the old token.
async function loseOneRefreshAnswer(page) {
  let lost;
  await page.route(
    "**/auth/session/refresh",
    async (route) => {
      const sent = await route.request().allHeaders();
      const kept = ["cookie", "authorization", "anti-csrf", "rid", "st-auth-mode"].filter((name) => name in sent);
      // Not route.fetch: that would store the new cookies, which is what must not happen.
      const answer = await fetch(route.request().url(), {
        method: "POST",
        headers: kept.map((name) => [name, sent[name]]),
      });
      lost = answer.status;
      await route.abort("connectionreset");
    },
    { times: 1 },
  );
  await accessTokenExpires(page);
  await assert.rejects(callMe(page));
  assert.equal(lost, 200, "the refresh whose answer gets lost must itself succeed");
}

test("a device that loses the answer to a refresh and retries at once stays signed in", async () => {
  const { page } = stage;
  await signIn(page);
  await loseOneRefreshAnswer(page);
  assert.deepEqual(await callMe(page), [200]);
});

test("a device that loses the answer to a refresh and returns after the window stays signed in", async () => {
  const { page } = stage;
  await signIn(page);
  const { reuseWindowSeconds } = await (await fetch(`${stage.stack.origin}/example/settings`)).json();
  await loseOneRefreshAnswer(page);
  await passes(reuseWindowSeconds * 1000);
  assert.deepEqual(await callMe(page), [200]);
});
