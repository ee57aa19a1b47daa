// What pages that do not take part can do to a session: nothing. Answers of the refresh endpoint reach a
// browser that meanwhile holds other cookies than the request came with, or that withheld them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as passes } from "node:timers/promises";
import { accessTokenExpires, callMe, freePort, isSignedIn, launchBrowser, signIn } from "./harness.js";
import { startStack } from "./stack.js";

let browser;
before(async () => {
  browser = await launchBrowser(["--host-resolver-rules=MAP *.example.com 127.0.0.1"]);
});
after(() => browser?.close());

const NO_PROOF = ["ANTI_CSRF=NONE"];
const CUSTOM_HEADER = ["ANTI_CSRF=VIA_CUSTOM_HEADER"];
const TOKEN = ["ANTI_CSRF=VIA_TOKEN"];
// On the loopback address browsers take Secure cookies without https.
const SENT_ACROSS_SITES = ["COOKIE_SAME_SITE=none", "COOKIE_SECURE=true"];

async function startPage(t, stack) {
  t.after(stack.stop);
  const context = await browser.newContext({ baseURL: stack.origin });
  context.setDefaultTimeout(10_000);
  t.after(() => context.close());
  return [context, await context.newPage()];
}

const sessionCookies = async (context) =>
  (await context.cookies()).filter(({ httpOnly }) => httpOnly).map(({ name }) => name);

/** A page of another site that posts a form to us as soon as it is opened. */
async function openForeignPage(page, target) {
  await page.route("http://foreign.test/", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<form method="post" action="${target}"></form><script>document.forms[0].submit()</script>`,
    }),
  );
  const answered = page.waitForResponse(target);
  await page.goto("http://foreign.test/");
  return (await answered).status();
}

test("a form of another site that posts itself to refresh or sign-out signs nobody out", async (t) => {
  for (const settings of [
    NO_PROOF,
    CUSTOM_HEADER,
    TOKEN,
    [...CUSTOM_HEADER, ...SENT_ACROSS_SITES],
    [...TOKEN, ...SENT_ACROSS_SITES],
  ]) {
    for (const method of ["cookie", "header"]) {
      await t.test(`${settings.join(" ")}, ${method}`, async (t) => {
        const stack = await startStack({ settings });
        const [context, page] = await startPage(t, stack);
        await signIn(page, `/?method=${method}`);
        const before = await sessionCookies(context);

        for (const path of ["/auth/session/refresh", "/auth/signout"]) {
          assert.equal(await openForeignPage(page, stack.origin + path), 401);
        }

        assert.deepEqual(await sessionCookies(context), before);
        await page.goto(`/?method=${method}`);
        await accessTokenExpires(page);
        assert.deepEqual(await callMe(page), [200]);
      });
    }
  }
});

/** The stack as the API of two pages on subdomains of one website. */
async function startSubdomains(settings) {
  const port = await freePort();
  const at = (name) => `http://${name}.example.com:${port}`;
  const domains = [`API_DOMAIN=${at("api")}`, `WEBSITE_DOMAIN=${at("a")},${at("b")}`];
  const stack = await startStack({ port, settings: [...domains, ...settings] });
  return { stack, at };
}

/** Opens a page of the website that does nothing but use the SDK. */
async function openPage(context, origin, apiDomain, config) {
  const page = await context.newPage();
  await page.goto(`${origin}/healthz`);
  await page.addScriptTag({ url: "/supertokens.js" });
  await page.evaluate((config) => supertokens.init(config), { apiDomain, apiBasePath: "/auth", ...config });
  return page;
}

/** Sends a page's first visit to the server, and keeps the answer until it is released. */
async function holdFirstVisit(page, stack) {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  const held = new Promise((resolve) =>
    page.route("**/auth/session/refresh", async (route) => {
      const headers = await route.request().allHeaders();
      const answer = await fetch(`${stack.origin}/auth/session/refresh`, { method: "POST", headers });
      resolve(answer.status);
      await released;
      const lines = answer.headers.getSetCookie().join("\n");
      const cookies = lines ? { "set-cookie": lines } : {};
      await route.fulfill({
        status: answer.status,
        headers: { ...Object.fromEntries(answer.headers), ...cookies },
        body: await answer.text(),
      });
    }),
  );
  const visit = page.evaluate(() => supertokens.doesSessionExist());
  assert.equal(await held, 401);
  return async () => {
    release();
    assert.equal(await visit, false);
  };
}

const signInByApi = (page, api) =>
  page.evaluate(async (api) => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ userId: "ada" });
    return (await fetch(`${api}/example/signin`, { method: "POST", headers, body })).status;
  }, api);

const callApi = (page, api) =>
  page.evaluate(async (api) => (await fetch(`${api}/api/like`, { method: "POST" })).status, api);

test("a first visit that is answered late takes nothing away from the page that has signed in", async (t) => {
  for (const settings of [NO_PROOF, CUSTOM_HEADER, TOKEN]) {
    for (const tokenTransferMethod of ["cookie", "header"]) {
      await t.test(`${settings[0]}, ${tokenTransferMethod}`, async (t) => {
        const { stack, at } = await startSubdomains(settings);
        const [context] = await startPage(t, stack);
        const config = { tokenTransferMethod };
        const late = await openPage(context, at("b"), at("api"), config);
        const page = await openPage(context, at("a"), at("api"), config);
        const answerLate = await holdFirstVisit(late, stack);
        assert.equal(await signInByApi(page, at("api")), 200);

        await answerLate();

        assert.ok(await isSignedIn(page));
        assert.equal(await callApi(page, at("api")), 200);
        const { exp } = await page.evaluate(() => supertokens.getAccessTokenPayloadSecurely());
        await passes(exp * 1000 - Date.now());
        assert.equal(await callApi(page, at("api")), 200, "after a refresh");
      });
    }
  }
});

// Where the pages share what the SDK keeps, it forgets for all of them; the API's cookies stay.
test("a first visit that is answered late leaves the cookies where pages share the front end's", async (t) => {
  const { stack, at } = await startSubdomains(NO_PROOF);
  const [context] = await startPage(t, stack);
  const config = { tokenTransferMethod: "cookie", sessionTokenFrontendDomain: ".example.com" };
  const late = await openPage(context, at("b"), at("api"), config);
  const page = await openPage(context, at("a"), at("api"), config);
  const answerLate = await holdFirstVisit(late, stack);
  assert.equal(await signInByApi(page, at("api")), 200);
  await answerLate();
  assert.deepEqual((await sessionCookies(context)).sort(), ["sAccessToken", "sRefreshToken"]);
});
