// Where the user is signed in, and routes that ask for more than a session.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as passes } from "node:timers/promises";
import { callMe, sdkEvents, useStage } from "./harness.js";

const stage = useStage();

// A user per test, so that no test sees another one's devices.
async function signInAs(page, user) {
  await page.goto("/");
  await page.locator("#user-id").fill(user);
  await page.locator("#sign-in").click();
  await page.locator("#devices li").first().waitFor();
}

const devices = (page) => page.locator("#devices li");
const answered = (page, line) => page.locator("#demand-answer").filter({ hasText: line }).waitFor();

test("the list of devices names this one and when it was used", async () => {
  const { page } = stage;
  await signInAs(page, "list");
  const text = await devices(page).allTextContents();
  assert.equal(text.length, 1);
  assert.match(text[0], /^Chrome on \w+this devicelast refreshed [\d:]{8}, signed in [\d:]{8}$/);
});

test("signing out everywhere else ends the other sessions and keeps this one", async () => {
  const { page, stack } = stage;
  const agent = { "content-type": "application/json", "st-auth-mode": "header", "user-agent": "Mozilla/5.0 (iPhone) Safari/605" };
  const phone = await fetch(`${stack.origin}/example/signin`, {
    method: "POST",
    headers: agent,
    body: JSON.stringify({ userId: "elsewhere" }),
  });
  const refreshOnPhone = () =>
    fetch(`${stack.origin}/auth/session/refresh`, {
      method: "POST",
      headers: { ...agent, authorization: `Bearer ${phone.headers.get("st-refresh-token")}` },
    });
  assert.equal((await refreshOnPhone()).status, 200);
  await signInAs(page, "elsewhere");
  await devices(page).filter({ hasText: "Safari on iPhone" }).waitFor();

  await page.locator("#sign-out-elsewhere").click();
  await devices(page).filter({ hasText: "Safari on iPhone" }).waitFor({ state: "detached" });

  assert.equal((await refreshOnPhone()).status, 401);
  assert.deepEqual(await callMe(page), [200]);
  assert.equal(await devices(page).count(), 1);
});

test("a sign-in on a phone appears in the list and leaves this browser's session alone", async () => {
  const { page } = stage;
  await signInAs(page, "phone");
  const handle = await page.locator("#handle").textContent();
  await page.locator("#sign-in-elsewhere").click();
  await devices(page).filter({ hasText: "Chrome on Android" }).waitFor();
  assert.equal(await page.locator("#handle").textContent(), handle);
});

test("one device is signed out from the list, and the others stay", async () => {
  const { page } = stage;
  await signInAs(page, "one");
  await page.locator("#sign-in-elsewhere").click();
  await devices(page).filter({ hasText: "Chrome on Android" }).getByRole("button", { name: "Sign out" }).click();
  await devices(page).filter({ hasText: "Chrome on Android" }).waitFor({ state: "detached" });
  assert.equal(await devices(page).count(), 1);
  assert.deepEqual(await callMe(page), [200]);
});

test("a route that misses a role is refused as the SDK reports it, and serves once the role is granted", async () => {
  const { page } = stage;
  await signInAs(page, "role");
  await page.locator("#reports").click();
  await page.locator("#refused-role", { hasText: 'st-role: wrong value, "admin" is expected' }).waitFor();
  assert.ok((await sdkEvents(page)).includes("API_INVALID_CLAIM"));
  assert.doesNotMatch(await page.locator("#claims").textContent(), /admin/);

  await page.locator("#become-admin").click();
  await answered(page, "GET /account/reports → 200");
  assert.ok((await sdkEvents(page)).includes("ACCESS_TOKEN_PAYLOAD_UPDATED"));
  await page.locator("#claims", { hasText: "admin" }).waitFor();
  assert.equal(await page.locator("#refused-role").isVisible(), false);
});

test("a sensitive action asks for a fresh sign-in, and goes on after it", async () => {
  const { page, stack } = stage;
  const { stepUpSeconds } = await (await fetch(`${stack.origin}/example/settings`)).json();
  await signInAs(page, "step-up");
  await passes((stepUpSeconds + 1) * 1000);
  await page.locator("#transfer").click();
  await page.locator("#confirm-form", { hasText: `more than ${stepUpSeconds}\u00a0s old` }).waitFor();
  await page.locator("#confirm-id").fill("step-up");
  await page.locator("#confirm").click();
  await answered(page, "POST /account/transfers → 200");
  assert.equal(await page.locator("#confirm-form").isVisible(), false);
});
