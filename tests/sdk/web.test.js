// The published web SDK in a browser, on top of the Express application.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";
import { setTimeout as passes } from "node:timers/promises";
import { REFRESH, countRequests, launchBrowser } from "../browser/harness.js";
import { startApp } from "./app.js";
import { ACCESS_TOKEN_TTL_SECONDS, WINDOW_MS, startCore } from "./harness.js";

const SDK = fileURLToPath(new URL("../../local/page/dist/supertokens.js", import.meta.url));
const PAGE = `<!doctype html><title>test</title><script src="/supertokens.js"></script><script>
  supertokens.init({ apiDomain: location.origin, tokenTransferMethod: location.hash.slice(1) });
</script>`;

let app;
let browser;
let core;

before(async () => {
  core = await startCore();
  app = await startApp(core.connectionURI);
  app.more.get("/", (_, response) => response.type("html").send(PAGE));
  app.more.get("/supertokens.js", (_, response) => response.sendFile(SDK));
  browser = await launchBrowser();
});

after(async () => {
  await browser?.close();
  app?.stop();
  await core?.stop();
});

/** The statuses of calls at the same time, by the fetch that the SDK intercepts. */
const call = (page, path, times = 1) =>
  page.evaluate(
    ([path, times]) => Promise.all(Array.from({ length: times }, async () => (await fetch(path)).status)),
    [path, times],
  );

async function signIn(mode) {
  const context = await browser.newContext({ baseURL: app.origin });
  const page = await context.newPage();
  await page.goto(`/#${mode}`);
  const status = await page.evaluate(async () => {
    const headers = { "content-type": "application/json" };
    return (await fetch("/signin", { method: "POST", headers, body: JSON.stringify({ userId: "bob" }) })).status;
  });
  assert.equal(status, 200);
  return { context, page };
}

for (const mode of ["cookie", "header"]) {
  describe(`by ${mode}`, () => {
    test("a page signs in, is refreshed once for all its calls, and signs out", async () => {
      const { context, page } = await signIn(mode);
      assert.deepEqual(await call(page, "/me"), [200]);
      assert.deepEqual(await page.evaluate(() => supertokens.getUserId()), "bob");
      await passes(ACCESS_TOKEN_TTL_SECONDS * 1000);
      core.calls();
      const requests = countRequests(page);
      assert.deepEqual(await call(page, "/me", 3), [200, 200, 200]);
      assert.equal(requests(REFRESH), 1);
      assert.deepEqual(core.calls(), ["POST /recipe/session/refresh"]);
      await page.evaluate(() => supertokens.signOut());
      assert.deepEqual(core.calls(), ["POST /recipe/session/remove"]);
      assert.equal(await page.evaluate(() => supertokens.doesSessionExist()), false);
      assert.deepEqual(await call(page, "/me"), [401]);
      await context.close();
    });
  });
}

test("two tabs with the same cookies stay signed in over several refreshes", async () => {
  const { context, page } = await signIn("cookie");
  const other = await context.newPage();
  await other.goto("/#cookie");
  for (let turn = 0; turn < 2; turn += 1) {
    await passes(ACCESS_TOKEN_TTL_SECONDS * 1000);
    const answers = await Promise.all([call(page, "/me", 2), call(other, "/me", 2)]);
    assert.deepEqual(answers, [[200, 200], [200, 200]]);
  }
  await context.close();
});

test("a thief's token ends the session of the page", async () => {
  const { context, page } = await signIn("cookie");
  const stolen = (await context.cookies()).find(({ name }) => name === "sRefreshToken").value;
  for (let turn = 0; turn < 2; turn += 1) {
    assert.equal(await page.evaluate(() => supertokens.attemptRefreshingSession()), true);
    await passes(WINDOW_MS);
  }
  const headers = { "st-auth-mode": "header", authorization: `Bearer ${stolen}` };
  const answer = await fetch(`${app.origin}/auth/session/refresh`, { method: "POST", headers });
  assert.equal(answer.status, 401);
  assert.equal(await page.evaluate(() => supertokens.attemptRefreshingSession()), false);
  assert.equal(await page.evaluate(() => supertokens.doesSessionExist()), false);
  await context.close();
});
