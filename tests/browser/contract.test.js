// Client reactions of the web SDK, by row of the wire contract (F1 to F18). Where a row needs a server
// that misbehaves, the browser answers one route in its place and the stack all others.

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
import { startStack } from "./stack.js";

const stage = useStage();

async function visit(page) {
  await page.goto("/");
  await page.locator("#signin-form").waitFor();
}

/** Answers a route of the stack in its place: status, body and headers. */
const answer = (page, path, status, json = {}, headers = {}) =>
  page.route(`**${path}`, (route) => route.fulfill({ status, json, headers }));

const REFRESH_PATH = "/auth/session/refresh";

const callPublic = (page) => page.evaluate(async () => (await fetch("/api/public")).status);

test("f1_a_first_visit_probes_once_and_settles", async () => {
  const { page } = stage;
  const requests = countRequests(page);
  await visit(page);
  await page.evaluate(() => fetch("/api/public"));
  await visit(page);
  assert.equal(requests(REFRESH), 1);
});

test("f2_a_probe_that_fails_lets_the_call_through_and_is_repeated_with_the_next", async () => {
  const { page } = stage;
  await answer(page, REFRESH_PATH, 500);
  const requests = countRequests(page);
  // A call during the probe of the page's start would share that one.
  await visit(page);
  assert.deepEqual([await callPublic(page), await callPublic(page)], [200, 200]);
  // One probe by the page as it starts, and one before each call.
  assert.deepEqual([requests(REFRESH), requests("GET /api/public")], [3, 2]);
});

test("f3_a_refused_probe_settles_the_state_even_without_a_front_token", async () => {
  const { page } = stage;
  await answer(page, REFRESH_PATH, 401);
  const requests = countRequests(page);
  await visit(page);
  assert.equal(await callPublic(page), 200);
  assert.deepEqual(await callMe(page), [401]);
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

test("f7_a_refresh_without_a_front_token_fails_the_call_and_keeps_the_session", async () => {
  const { page } = stage;
  await signIn(page);
  await answer(page, "/api/me", 401);
  await answer(page, REFRESH_PATH, 200);
  const requests = countRequests(page);
  await assert.rejects(callMe(page));
  assert.equal(requests(REFRESH), 1);
  assert.equal(await isSignedIn(page), true);
});

test("f8_a_refresh_that_fails_hands_its_answer_to_the_app_and_keeps_the_session", async () => {
  const { page } = stage;
  await signIn(page);
  await answer(page, "/api/me", 401);
  await answer(page, REFRESH_PATH, 503);
  assert.deepEqual(await callMe(page), [503]);
  assert.equal(await isSignedIn(page), true);
  assert.deepEqual(await sdkEvents(page), ["SESSION_CREATED"]);
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

test("f10_a_401_that_removes_the_front_token_ends_the_session_without_a_refresh", async () => {
  const { page } = stage;
  await signIn(page);
  await answer(page, "/api/me", 401, {}, { "front-token": "remove" });
  const requests = countRequests(page);
  assert.deepEqual(await callMe(page), [401]);
  assert.equal(requests(REFRESH), 0);
  assert.equal(await isSignedIn(page), false);
  assert.deepEqual(await sdkEvents(page), ["SESSION_CREATED", "UNAUTHORISED", "UNAUTHORISED"]);
  // The page says so only if the event reports a session that had existed.
  await page.locator("#notice").filter({ hasText: "expired or was ended elsewhere" }).waitFor();
});

test("f11_a_403_with_claim_errors_is_reported_and_passed_on", async () => {
  const { page } = stage;
  await signIn(page);
  const claimValidationErrors = [{ id: "st-role", reason: { message: "wrong value" } }];
  await answer(page, "/api/me", 403, { message: "invalid claim", claimValidationErrors });
  const requests = countRequests(page);
  assert.deepEqual(await callMe(page), [403]);
  assert.equal(requests(REFRESH), 0);
  assert.deepEqual(await sdkEvents(page), ["SESSION_CREATED", "API_INVALID_CLAIM"]);
});

test("f12_any_other_403_is_passed_on_without_an_event", async () => {
  const { page } = stage;
  await signIn(page);
  await answer(page, "/api/me", 403, { message: "Forbidden" });
  assert.deepEqual(await callMe(page), [403]);
  assert.deepEqual(await sdkEvents(page), ["SESSION_CREATED"]);
});

test("f13_an_api_that_always_refuses_is_called_eleven_times_and_refreshed_for_ten_times", async () => {
  const { page } = stage;
  await signIn(page);
  await answer(page, "/api/me", 401);
  const requests = countRequests(page);
  await assert.rejects(callMe(page));
  assert.deepEqual([requests("GET /api/me"), requests(REFRESH)], [11, 10]);
  assert.equal(await isSignedIn(page), true);
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

test("f17_an_exposed_access_token_alone_is_not_sent_as_a_header", async (t) => {
  const exposing = await startStack({ settings: ["EXPOSE_ACCESS_TOKEN=true"] });
  t.after(exposing.stop);
  const { context, page } = stage;
  await signIn(page, exposing.origin);
  const names = (await context.cookies()).map(({ name }) => name);
  assert.ok(names.includes("st-access-token"), "the stack must expose the token");
  assert.ok(!names.includes("st-refresh-token"));
  const request = page.waitForRequest("**/api/me");
  assert.deepEqual(await callMe(page), [200]);
  assert.equal((await (await request).allHeaders()).authorization, undefined);
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
