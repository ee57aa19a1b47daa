// A refresh token is copied off the device. What happens depends on who moves, and when.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as passes } from "node:timers/promises";
import { signIn, useStage } from "./harness.js";

const stage = useStage();
const WINDOW_MS = 2_100; // F is 1 s, and a bit.

const holder = (page, who, standing) => page.locator(`#${who}-holds[data-standing="${standing}"]`).waitFor();
const lastRefreshBy = (page, who) =>
  page.locator(`#log li:has([data-who="${who}"])`, { hasText: /session\/refresh(?!\/)/ }).first();

async function signInAndSteal(page) {
  await signIn(page);
  await page.locator("#steal").click();
  await holder(page, "thief", "newest");
}

async function deviceMovesOn(page, thiefThenHolds) {
  await page.locator("#device-refresh").click();
  await holder(page, "thief", thiefThenHolds);
}

test("a copy used inside the window looks like a second tab", async () => {
  const { page } = stage;
  await signInAndSteal(page);
  await deviceMovesOn(page, "in-window");
  await page.locator("#use-copy").click();
  await lastRefreshBy(page, "thief").filter({ hasText: "same refresh token" }).waitFor();
});

test("a copy used after the window signs the device out at its next refresh", async () => {
  const { page } = stage;
  await signInAndSteal(page);
  await deviceMovesOn(page, "late");
  await page.locator("#use-copy").click();
  await holder(page, "device", "given-up");
  await page.locator("#device-refresh").click();
  await page.locator("#notice").filter({ hasText: "theft detected" }).waitFor();
  await page.locator("#signin-form").waitFor();
});

test("a detected theft locks the thief out as well", async () => {
  const { page, stack } = stage;
  await signIn(page, "/?method=header");
  const thief = async (token) => {
    const answer = await fetch(`${stack.origin}/auth/session/refresh`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "st-auth-mode": "header" },
    });
    return { status: answer.status, token: answer.headers.get("st-refresh-token") };
  };
  const stolen = await page.evaluate(() => document.cookie.match(/st-refresh-token=([^;]+)/)[1]);
  await page.locator("#steal").click();
  await deviceMovesOn(page, "late");
  const { token } = await thief(stolen);
  await passes(WINDOW_MS);
  await page.locator("#device-refresh").click();
  await page.locator("#notice").waitFor();

  assert.equal((await thief(token)).status, 401);
});

test("a copy from two rotations ago ends the session when the thief uses it", async () => {
  const { page } = stage;
  await signInAndSteal(page);
  await deviceMovesOn(page, "late");
  await deviceMovesOn(page, "old");
  await page.locator("#use-copy").click();
  await lastRefreshBy(page, "thief").filter({ hasText: "token theft detected" }).waitFor();
  await page.locator("#notice").filter({ hasText: "theft detected" }).waitFor();
});

test("the whole story plays from one button and ends signed out", async () => {
  const { page } = stage;
  await signIn(page);
  await page.locator("#play").click();
  await page.locator("#notice").filter({ hasText: "theft detected" }).waitFor();
});
