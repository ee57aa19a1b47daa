// Scripts that stand still, or are gone, when the answer to a refresh arrives.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { setTimeout as passes } from "node:timers/promises";
import { accessTokenExpires, callMe, isSignedIn, launchBrowser, signIn, useStage } from "./harness.js";
import { startStack } from "./stack.js";

const stage = useStage();
// F is 1 s, and a bit.
const WINDOW_MS = 2_100;
const ACCESS_TOKEN_MS = 2_100;

/** Stops every script of a page once its next refresh was answered or, if so, is about to be sent. */
async function standStillAtRefresh(page, isAnswered) {
  const debug = await page.context().newCDPSession(page);
  await debug.send("Debugger.enable");
  const stopped = new Promise((resolve) => {
    const stop = async (route) => {
      const answer = isAnswered && (await route.fetch());
      const paused = once(debug, "Debugger.paused");
      await debug.send("Debugger.pause");
      await paused;
      await (answer ? route.fulfill({ response: answer }) : route.continue());
      resolve();
    };
    page.route("**/auth/session/refresh", stop, { times: 1 });
  });
  return { stopped, goOn: () => debug.send("Debugger.resume") };
}

const refreshToken = async (context) => {
  const cookies = await context.cookies();
  return cookies.find(({ name }) => name === "sRefreshToken" || name === "st-refresh-token")?.value;
};

test("a script that stands still for longer than the window while it refreshes keeps its session", async () => {
  const { context, page } = stage;
  await signIn(page, "/?method=header");
  const other = await context.newPage();
  await other.goto("/?method=header");
  await other.locator("#session").waitFor();
  await Promise.all([accessTokenExpires(page), accessTokenExpires(other)]);

  const { stopped, goOn } = await standStillAtRefresh(page, true);
  const late = callMe(page);
  await stopped;
  // Its lock goes stale, and the other tab refreshes with the token that both had.
  assert.deepEqual(await callMe(other), [200]);
  const newer = await refreshToken(context);
  await passes(WINDOW_MS);

  await goOn();
  assert.deepEqual(await late, [200]);
  assert.notEqual(await refreshToken(context), newer, "the late answer was stored over the newer one");
  await passes(ACCESS_TOKEN_MS);
  assert.deepEqual([await callMe(page), await callMe(other)], [[200], [200]]);
  assert.ok(await isSignedIn(page));
});

test("a tab that is closed between cookies and script leaves a session that goes on, with anti-CSRF tokens", async () => {
  const stack = await startStack({ settings: ["ANTI_CSRF=VIA_TOKEN"] });
  const browser = await launchBrowser();
  try {
    const context = await browser.newContext({ baseURL: stack.origin });
    const page = await context.newPage();
    await signIn(page);
    await accessTokenExpires(page);
    const before = await refreshToken(context);

    const { stopped } = await standStillAtRefresh(page, false);
    callMe(page).catch(() => {}); // Nobody is there to be answered.
    await stopped;
    while ((await refreshToken(context)) === before) await passes(50);
    await page.close();

    await passes(ACCESS_TOKEN_MS);
    const next = await context.newPage();
    await next.goto("/");
    assert.deepEqual(await callMe(next), [200]);
    assert.ok(await isSignedIn(next));
  } finally {
    await browser.close();
    await stack.stop();
  }
});
