// Starts the stack and a browser for one test file, and stops both by the handle it holds.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, afterEach, before, beforeEach } from "node:test";
import { chromium } from "playwright-core";

const START_TIMEOUT_MS = 20_000;

/** Runs the `local` executable on a free port, with lifetimes short enough to watch them end. */
export async function startStack({ accessTokenTtl = 2, refreshFlight = 1 } = {}) {
  const binary = process.env.LOCAL_BIN;
  if (!binary) throw new Error("LOCAL_BIN must be the path of the built `local` executable");

  const server = spawn(
    binary,
    ["--port", "0", "--access-token-ttl", `${accessTokenTtl}`, "--refresh-flight", `${refreshFlight}`],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const output = [];
  const origin = new Promise((resolve, reject) => {
    for (const stream of [server.stdout, server.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        output.push(line);
        const url = line.match(/http:\/\/127\.0\.0\.1:\d+/);
        if (url) resolve(url[0]);
      });
    }
    const fail = (why) => reject(new Error([`the stack did not start: ${why}`, ...output].join("\n")));
    server.once("error", fail);
    server.once("exit", (code) => fail(`exit code ${code}`));
    setTimeout(fail, START_TIMEOUT_MS, "no URL printed in time").unref();
  });

  const stop = async () => {
    if (server.pid === undefined || server.exitCode !== null || server.signalCode !== null) return;
    server.kill();
    await once(server, "exit");
  };
  try {
    return { origin: await origin, output, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

export function launchBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** One stack and browser per file, one browser profile per test. */
export function useStage() {
  const stage = {};
  before(async () => {
    stage.stack = await startStack();
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
