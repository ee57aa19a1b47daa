// A session that is bound to a key of its browser, by DPoP proofs below the published SDK: what is stolen is worth nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import { callMe, signIn, useStage } from "./harness.js";

// Tokens outlive each test: what is refused is refused for want of the key.
const stage = useStage({ accessTokenTtl: 600, settings: ["DEVICE_BINDING=require", "DPOP_NONCE=true"] });
const BOUND = "/?method=header&bound";

const refresh = (page) => page.evaluate(() => supertokens.attemptRefreshingSession());

/** What the page says of the thief and of the owner. */
async function stealEverything(page) {
  await page.locator("#steal-everything").click();
  await page.locator("#loot").waitFor();
  const isBad = async (id) => (await page.locator(`#${id}`).getAttribute("data-bad")) === "true";
  return { reads: await isBad("thief-reads"), stays: await isBad("thief-stays"), ownerIsOut: await isBad("owner-goes-on") };
}

test("what is copied from a bound browser is refused elsewhere, and the owner works on", async () => {
  const { page } = stage;
  await signIn(page, BOUND);
  await page.locator('#devices li:has([data-who="device"])', { hasText: "bound to the device" }).waitFor();

  assert.deepEqual(await stealEverything(page), { reads: false, stays: false, ownerIsOut: false });

  assert.equal(await refresh(page), true);
  assert.deepEqual(await callMe(page, 10), Array(10).fill(200));
});

for (const method of ["cookie", "header"]) {
  test(`without a key whoever has the tokens is in, by ${method}`, async () => {
    const { page } = stage;
    await signIn(page, `/?method=${method}`);
    assert.deepEqual(await stealEverything(page), { reads: true, stays: true, ownerIsOut: false });
  });
}

test("all cookies in another profile, which has a key of its own, end no session but there", async () => {
  const { page, context, browser, stack } = stage;
  await signIn(page, BOUND);
  const elsewhere = await browser.newContext({ baseURL: stack.origin });
  try {
    await elsewhere.addCookies(await context.cookies());
    const thief = await elsewhere.newPage();
    await thief.goto(BOUND);
    await thief.locator("#signin-form").waitFor();
  } finally {
    await elsewhere.close();
  }
  assert.equal(await refresh(page), true);
  assert.deepEqual(await callMe(page), [200]);
});

test("the key is still there after a reload", async () => {
  const { page } = stage;
  await signIn(page, BOUND);
  await page.reload();
  await page.locator("#session").waitFor();
  assert.deepEqual(await callMe(page), [200]);
  assert.equal(await refresh(page), true);
});

test("signing out and in again binds the new session to the same key", async () => {
  const { page } = stage;
  await signIn(page, BOUND);
  const key = async () => JSON.parse(await page.locator("#claims").textContent()).cnf.jkt;
  const first = await key();
  await page.locator("#sign-out").click();
  await page.locator("#signin-form").waitFor();
  await page.locator("#sign-in").click();
  await page.locator("#session").waitFor();
  assert.equal(await key(), first);
  assert.equal(await refresh(page), true);
  assert.deepEqual(await callMe(page), [200]);
});
