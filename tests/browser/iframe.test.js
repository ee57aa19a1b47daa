// A website in an iframe of another site, in a browser that blocks third-party cookies. For browsers
// localhost and 127.0.0.1 are two sites, and both may use Secure cookies without https.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { freePort, launchBrowser } from "./harness.js";
import { startStack } from "./stack.js";

const IN_AN_IFRAME = ["COOKIE_SAME_SITE=none", "COOKIE_SECURE=true"];

let browser;
before(async () => {
  browser = await launchBrowser(["--test-third-party-cookie-phaseout"]);
});
after(() => browser?.close());

/** Signs in inside the iframe, then calls a protected route there: whether the browser kept the cookie. */
async function signInInsideAnIframe(t, settings) {
  const port = await freePort();
  const website = `http://localhost:${port}`;
  const domains = [`API_DOMAIN=${website}`, `WEBSITE_DOMAIN=${website}`];
  const stack = await startStack({ port, settings: [...domains, ...IN_AN_IFRAME, ...settings] });
  t.after(stack.stop);
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${port}/healthz`);
  await page.evaluate((src) => {
    document.body.append(Object.assign(document.createElement("iframe"), { src }));
  }, `${website}/healthz`);
  const frame = await (await page.waitForSelector("iframe")).contentFrame();
  await frame.waitForURL(`${website}/**`);
  const statuses = await frame.evaluate(async () => {
    const headers = { "content-type": "application/json", "st-auth-mode": "cookie", rid: "session" };
    const post = async (path, body) => (await fetch(path, { method: "POST", headers, body })).status;
    const signIn = await post("/example/signin", JSON.stringify({ userId: "ada" }));
    return [signIn, await post("/api/like"), await post("/auth/session/refresh"), await post("/auth/signout")];
  });
  return statuses;
}

test("partitioned cookies carry the session inside the iframe", async (t) => {
  const statuses = await signInInsideAnIframe(t, ["COOKIE_PARTITIONED=true"]);
  assert.deepEqual(statuses, [200, 200, 200, 200]);
});

test("other cookies are blocked there", async (t) => {
  const statuses = await signInInsideAnIframe(t, []);
  assert.deepEqual(statuses, [200, 401, 401, 401]);
});
