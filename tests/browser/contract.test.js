// Client reactions of the web SDK, by row of the wire contract (F1 to F18). Rows that need a
// misbehaving server are the SDK's own business and are not repeated here.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  accessTokenExpires,
  callMe,
  countRequests,
  isSignedIn,
  REFRESH,
  sdkEvents,
  signIn,
  useStage,
} from "./harness.js";

const stage = useStage();

async function visit(page) {
  await page.goto("/");
  await page.locator("#signin-form").waitFor();
}

test("f1_a_first_visit_probes_once_and_settles", async () => {
  const { page } = stage;
  const requests = countRequests(page);
  await visit(page);
  await page.evaluate(() => fetch("/api/public"));
  await visit(page);
  assert.equal(requests(REFRESH), 1);
});

test("f4_without_a_session_a_401_is_passed_on_and_nothing_is_refreshed", async () => {
  const { page } = stage;
  await visit(page);
  const requests = countRequests(page);
  assert.deepEqual(await callMe(page), [401]);
  assert.equal(requests(REFRESH), 0);
});

test("f5_sign_in_stores_the_session_and_reports_it_created", async () => {
  const { page } = stage;
  await signIn(page, "/?method=header");
  const names = (await page.context().cookies()).map(({ name }) => name).sort();
  assert.deepEqual(names, ["sFrontToken", "st-access-token", "st-last-access-token-update", "st-refresh-token"]);
  assert.deepEqual(await sdkEvents(page), ["SESSION_CREATED"]);
});

test("f6_an_expired_access_token_is_refreshed_and_the_call_repeated", async () => {
  const { page } = stage;
  await signIn(page);
  await accessTokenExpires(page);
  const requests = countRequests(page);
  assert.deepEqual(await callMe(page), [200]);
  assert.deepEqual([requests("GET /api/me"), requests(REFRESH)], [2, 1]);
  assert.deepEqual(await sdkEvents(page), ["SESSION_CREATED", "ACCESS_TOKEN_PAYLOAD_UPDATED", "REFRESH_SESSION"]);
});

test("f9_a_refused_refresh_deletes_the_session_and_hands_the_refusal_to_the_app", async () => {
  const { context, page, stack } = stage;
  await signIn(page);
  const accessToken = (await context.cookies()).find(({ name }) => name === "sAccessToken").value;
  const elsewhere = await fetch(`${stack.origin}/auth/signout`, {
    method: "POST",
    headers: { authorization: `Bearer ${accessToken}`, "st-auth-mode": "header", rid: "session" },
  });
  assert.equal(elsewhere.status, 200, "the session must be ended behind the page's back");
  await accessTokenExpires(page);

  const answer = await page.evaluate(async () => {
    const response = await fetch("/api/me");
    return { status: response.status, path: new URL(response.url).pathname };
  });

  assert.deepEqual(answer, { status: 401, path: "/auth/session/refresh" });
  assert.equal(await isSignedIn(page), false);
  assert.deepEqual(await sdkEvents(page), ["SESSION_CREATED", "UNAUTHORISED"]);
});

test("f14_sign_out_empties_the_storage_except_for_the_time_of_the_last_update", async () => {
  const { context, page } = stage;
  await signIn(page, "/?method=header");
  await page.locator("#sign-out").click();
  await page.locator("#signin-form").waitFor();
  assert.deepEqual((await context.cookies()).map(({ name }) => name), ["st-last-access-token-update"]);
  assert.equal((await sdkEvents(page)).at(-1), "SIGN_OUT");
});

test("f15_sign_out_without_a_session_sends_nothing", async () => {
  const { page } = stage;
  await visit(page);
  const requests = countRequests(page);
  await page.evaluate(() => supertokens.signOut());
  assert.equal(requests("POST /auth/signout"), 0);
  assert.deepEqual(await sdkEvents(page), ["SIGN_OUT"]);
});

test("f16_asking_for_the_session_after_expiry_refreshes_it_first", async () => {
  const { page } = stage;
  await signIn(page);
  await accessTokenExpires(page);
  const requests = countRequests(page);
  assert.equal(await page.evaluate(() => supertokens.doesSessionExist()), true);
  assert.equal(requests(REFRESH), 1);
});

test("f18_a_marked_url_is_left_alone", async () => {
  const { page } = stage;
  await signIn(page);
  await accessTokenExpires(page);
  const requests = countRequests(page);
  const status = await page.evaluate(
    async () => (await fetch("/api/me?superTokensDoNotDoInterception=true")).status,
  );
  assert.equal(status, 401);
  assert.equal(requests(REFRESH), 0);
});
