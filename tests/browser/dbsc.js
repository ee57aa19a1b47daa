// Sessions bound to the browser's own key by Device Bound Session Credentials (docs/device-binding.md), with the published
// SDK. Run by `make dbsc`: not every Chromium can do it.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, request as ask } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { setTimeout as passes } from "node:timers/promises";
import {
  accessTokenExpires,
  callMe,
  freePort,
  isSignedIn,
  launchBrowser,
  launchProfile,
  REFRESH,
  signIn,
} from "./harness.js";
import { startStack } from "./stack.js";

// Keys in software, because Debian's Chromium has no use for a TPM.
const FEATURES =
  "DeviceBoundSessions,EnableBoundSessionCredentialsSoftwareKeysForManualTesting,PersistDeviceBoundSessions";
const DEVICE = "POST /auth/session/refresh/device";
const REGISTER = `${DEVICE}/register`;
const PROOF_LIFE_SECONDS = 5;
const PROOF_COUNTS_MS = (PROOF_LIFE_SECONDS + 1) * 1000 + 200; // its life, F, and a bit
const ACCESS_TOKEN_TTL = 9;

let stack, gate, folder, context, page;

/**
 * Stands before the stack and notes every request, also those that browsers keep from their tools. `faults` are statuses to
 * answer in the stack's place, by line; 0 passes the request on and loses the answer.
 */
async function startGate() {
  const [port, behind] = [await freePort(), await freePort()];
  const origin = `http://127.0.0.1:${port}`;
  const gate = { origin, behind, seen: [], faults: {} };
  const server = createServer((incoming, answer) => {
    const { method, headers, url } = incoming;
    const line = `${method} ${new URL(url, origin).pathname}`;
    const noted = { line, status: 0, skipped: headers["secure-session-skipped"] };
    gate.seen.push(noted);
    const fault = gate.faults[line]?.shift();
    if (fault) {
      noted.status = fault;
      answer.writeHead(fault).end();
      return;
    }
    const onward = ask({ host: "127.0.0.1", port: behind, method, path: url, headers }, (reply) => {
      if (fault === 0) {
        answer.destroy();
        return;
      }
      noted.status = reply.statusCode;
      answer.writeHead(reply.statusCode, reply.rawHeaders);
      reply.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    incoming.pipe(onward);
  });
  await new Promise((listens) => server.listen(port, "127.0.0.1", listens));
  gate.stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return gate;
}

async function openBrowser(profile = folder) {
  const opened = await launchProfile(profile, [`--enable-features=${FEATURES}`], { baseURL: gate.origin });
  opened.setDefaultTimeout(15_000);
  return opened;
}

before(async () => {
  gate = await startGate();
  stack = await startStack({
    port: gate.behind,
    accessTokenTtl: ACCESS_TOKEN_TTL,
    settings: [
      `API_DOMAIN=${gate.origin}`,
      `WEBSITE_DOMAIN=${gate.origin}`,
      "DEVICE_BINDING=require",
      `DEVICE_PROOF_TTL_SECONDS=${PROOF_LIFE_SECONDS}`,
    ],
  });
});

// A browser for each test: one signs six times in nine minutes at most.
beforeEach(async () => {
  stack.output.length = 0;
  gate.seen.length = 0;
  gate.faults = {};
  folder = await mkdtemp(join(tmpdir(), "sesam-"));
  context = await openBrowser();
  page = await context.newPage();
});

afterEach(async (t) => {
  await context.close();
  await rm(folder, { recursive: true, force: true });
  if (!t.passed) {
    const seen = gate.seen.map(({ line, status, skipped }) => [status, line, skipped].filter(Boolean).join(" "));
    console.error([`during "${t.name}":`, ...seen, ...stack.output].join("\n"));
  }
});

after(async () => {
  await stack?.stop();
  gate?.stop();
});

const answered = (line) => gate.seen.filter((it) => it.line === line).map((it) => it.status);

/** Waits for what a browser does by itself. */
async function until(holds, what) {
  for (let tries = 0; tries < 200; tries += 1) {
    if (await holds()) return;
    await passes(100);
  }
  assert.fail(`${what} did not happen`);
}

const isRegistered = (times = 1) =>
  until(() => answered(REGISTER).filter((it) => it === 200).length === times, "a registration");

/** The next call after expiry, which refreshes. */
async function goOn(page) {
  await accessTokenExpires(page);
  assert.deepEqual(await callMe(page), [200]);
  await page.locator('#countdown:not([data-expired="true"])').waitFor();
}

/** Signed in, with a key that has been proved: from then on it is demanded. */
async function signInBound() {
  await signIn(page);
  await isRegistered();
  await goOn(page);
}

const allCookies = () => context.cookies(`${gate.origin}/auth/session/refresh`);

/** Refreshes with a copy of every cookie, from elsewhere. */
async function refreshBy(cookies) {
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
  const answer = await fetch(`http://127.0.0.1:${gate.behind}/auth/session/refresh`, { method: "POST", headers: { cookie } });
  return answer.status;
}

test("signing in binds the session to the browser", async () => {
  await signIn(page);
  await isRegistered();
  const names = (await allCookies()).map(({ name }) => name);
  assert.ok(names.includes("sDevice"), `${names}`);
});

test("once the key was proved the list of devices says that this one is bound", async () => {
  await signInBound();
  await page.reload();
  await page.locator("#devices li", { hasText: "bound to the device" }).waitFor();
});

test("ten calls and two tabs after expiry take one proof and one refresh", async () => {
  await signIn(page);
  await isRegistered();
  const other = await context.newPage();
  await other.goto("/");
  await other.locator("#session").waitFor();
  await Promise.all([accessTokenExpires(page), accessTokenExpires(other)]);
  gate.seen.length = 0;

  const statuses = (await Promise.all([callMe(page, 5), callMe(other, 5)])).flat();

  assert.deepEqual(statuses, Array(10).fill(200));
  assert.deepEqual(answered(REFRESH), [200]);
  const lines = gate.seen.map(({ line }) => line);
  const proofs = lines.slice(0, lines.indexOf(REFRESH)).filter((line) => line === DEVICE);
  assert.deepEqual(proofs, [DEVICE]);
});

test("a copy of all cookies buys nothing after their life, and the owner goes on", async () => {
  await signInBound();
  const stolen = await allCookies();
  await passes(PROOF_COUNTS_MS);
  assert.equal(await refreshBy(stolen), 401);
  await goOn(page);
  assert.equal(await refreshBy(stolen), 401);
  await passes(PROOF_COUNTS_MS);
  assert.equal(await refreshBy(await allCookies()), 401);
  await goOn(page);
});

test("a profile that all cookies were copied to is signed out, and the owner goes on", async () => {
  await signInBound();
  const stolen = await context.cookies();
  await passes(PROOF_COUNTS_MS);
  const elsewhere = await mkdtemp(join(tmpdir(), "sesam-"));
  const thief = await openBrowser(elsewhere);
  try {
    await thief.addCookies(stolen);
    const opened = await thief.newPage();
    await opened.goto("/");
    await accessTokenExpires(opened);
    assert.deepEqual(await callMe(opened), [401]);
    assert.equal(await isSignedIn(opened), false);
  } finally {
    await thief.close();
    await rm(elsewhere, { recursive: true, force: true });
  }
  await goOn(page);
});

test("who signs out and in again has a new binding, and the old one ends", async () => {
  await signInBound();
  await page.locator("#sign-out").click();
  await page.locator("#signin-form").waitFor();
  await page.locator("#sign-in").click();
  await page.locator("#session").waitFor();
  await isRegistered(2);
  await goOn(page);
});

test("after a restart the browser still proves its key", async () => {
  await signInBound();
  await context.close();
  gate.seen.length = 0;
  context = await openBrowser();
  page = await context.newPage();
  await page.goto("/");
  await page.locator("#session").waitFor();
  await goOn(page);
  assert.ok(answered(DEVICE).includes(200), `${answered(DEVICE)}`);
  assert.deepEqual(answered(REGISTER), []);
});

test("a registration whose answer is lost costs nobody the session", async () => {
  gate.faults[REGISTER] = [0];
  await signIn(page);
  await until(() => answered(REGISTER).length > 0, "the loss");
  await goOn(page);
  await goOn(page);
  assert.ok(await isSignedIn(page));
});

for (const [what, faults] of [
  ["whose answer is lost", [0]],
  ["that a fault of ours answers", [503]],
]) {
  test(`a proof ${what} is asked for again, and nobody is signed out`, async () => {
    await signInBound();
    await accessTokenExpires(page);
    gate.faults[DEVICE] = faults;
    await callMe(page);
    await until(() => gate.faults[DEVICE].length === 0, "the fault");
    await until(async () => (await callMe(page))[0] === 200, "a call that is served");
    assert.ok(await isSignedIn(page));
    await goOn(page);
  });
}

test("a browser that has signed too often is asked to come again, and stays signed in", async () => {
  await signIn(page);
  await isRegistered();
  const isOverQuota = () => gate.seen.some(({ skipped }) => skipped?.includes("quota_exceeded"));
  for (let rounds = 0; rounds < 12 && !isOverQuota(); rounds += 1) {
    await passes(PROOF_COUNTS_MS);
    await page.locator("#refresh").click();
    await until(() => page.locator("#refresh").getAttribute("aria-busy").then((busy) => busy !== "true"), "an answer");
  }
  assert.ok(isOverQuota(), "the quota was not reached");
  const refused = gate.seen.find(({ skipped }) => skipped?.includes("quota_exceeded"));
  assert.equal(refused.status, 503);
  assert.ok(await isSignedIn(page));
});

test("a browser without the feature is served as ever", async () => {
  const plain = await launchBrowser();
  try {
    const opened = await (await plain.newContext({ baseURL: gate.origin })).newPage();
    await signIn(opened);
    await goOn(opened);
    assert.deepEqual(answered(REGISTER), []);
  } finally {
    await plain.close();
  }
});
