// A stack and a browser for each test file, and what the tests do with them.

import { createServer } from "node:net";
import { after, afterEach, before, beforeEach } from "node:test";
import { chromium } from "playwright-core";
import { startStack } from "./stack.js";

const chosen = (more) => ({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    ...more,
  ],
});

export const launchBrowser = (more = []) => chromium.launch(chosen(more));

/** A browser with a profile in that folder, which is there again at the next start. */
export const launchProfile = (folder, more, options) =>
  chromium.launchPersistentContext(folder, { ...chosen(more), ...options });

/** One stack and browser per file, one browser profile per test. */
export function useStage(options) {
  const stage = {};
  before(async () => {
    stage.stack = await startStack(options);
    stage.browser = await launchBrowser();
  });
  beforeEach(async () => {
    stage.stack.output.length = 0;
    stage.context = await stage.browser.newContext({ baseURL: stage.stack.origin });
    stage.context.setDefaultTimeout(10_000);
    stage.page = await stage.context.newPage();
  });
  afterEach(async (t) => {
    await stage.context.close();
    if (!t.passed) console.error([`server output during "${t.name}":`, ...stage.stack.output].join("\n"));
  });
  after(async () => {
    await stage.browser?.close();
    await stage.stack?.stop();
  });
  return stage;
}

/** A port for a stack whose settings have to name it. */
export const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

export const REFRESH = "POST /auth/session/refresh";

/** Counts what really goes over the wire, which is what the contract speaks about. */
export function countRequests(target) {
  const requests = [];
  target.on("request", (request) => requests.push(`${request.method()} ${new URL(request.url()).pathname}`));
  return (line) => requests.filter((it) => it === line).length;
}

export async function signIn(page, path = "/") {
  await page.goto(path);
  await page.locator("#sign-in").click();
  await page.locator("#session").waitFor();
}

/** A step of the example that signs in on a provider's page: what a page of the website does, through the SDK. */
export const signInStep = (page, step, body) =>
  page.evaluate(
    async ([step, body]) => {
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`/example/cognito/signin/${step}`, { method: "POST", headers, body: JSON.stringify(body) });
      return { ...(await answer.json()), status: answer.status };
    },
    [step, body],
  );

export const accessTokenExpires = (page) => page.locator('#countdown[data-expired="true"]').waitFor();

/** Calls a protected route through the SDK, all at once, and returns the statuses. */
export const callMe = (page, times = 1) =>
  page.evaluate(
    (times) => Promise.all(Array.from({ length: times }, async () => (await fetch("/api/me")).status)),
    times,
  );

export const isSignedIn = (page) => page.evaluate(() => document.cookie.includes("sFrontToken="));

/** SDK events in the order they happened. */
export const sdkEvents = async (page) =>
  (await page.locator('#log li:has([data-who="sdk"]) > span:nth-of-type(2)').allTextContents()).reverse();
