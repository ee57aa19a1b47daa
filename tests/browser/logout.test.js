// A real OpenID Connect provider: a user signs in there through the example, signs out there, and the provider has the
// session ended.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Provider } from "oidc-provider";
import { freePort, isSignedIn, launchBrowser, signInStep } from "./harness.js";
import { startStack } from "./stack.js";

const CLIENT_ID = "app-1";
// For 127.0.0.1, with its worthless key; whoever takes it for an authority reaches this provider.
const CERTIFICATE = fileURLToPath(new URL("provider.pem", import.meta.url));

let provider, stack, browser;
const told = []; // what the provider tried to tell its clients, and how that ended

before(async () => {
  const [port, stackPort] = [await freePort(), await freePort()];
  const origin = `http://127.0.0.1:${stackPort}`;
  provider = await startProvider(port, origin);
  const issuer = `https://127.0.0.1:${port}`;
  Object.assign(process.env, {
    OIDC_ISSUER: issuer,
    OIDC_CLIENT_ID: CLIENT_ID,
    OIDC_REDIRECT_URI: `${origin}/`,
    NODE_EXTRA_CA_CERTS: CERTIFICATE, // of the example
    SSL_CERT_FILE: CERTIFICATE, // of the stack
  });
  stack = await startStack({ port: stackPort, settings: [`LOGOUT_ISSUER=${issuer}`, `LOGOUT_AUDIENCE=${CLIENT_ID}`] });
  browser = await launchBrowser();
});
afterEach((t) => {
  if (!t.passed) console.error(["the provider told:", ...told, "server output:", ...stack.output].join("\n"));
});
after(async () => {
  await browser?.close();
  await stack?.stop();
  provider?.close();
  provider?.closeAllConnections();
});

/** The published provider. Its own pages are replaced by one that signs everybody in as ada. */
async function startProvider(port, origin) {
  const client = {
    client_id: CLIENT_ID,
    token_endpoint_auth_method: "none",
    redirect_uris: [`${origin}/`],
    backchannel_logout_uri: `${origin}/auth/backchannel-logout`,
    backchannel_logout_session_required: true,
  };
  const op = new Provider(`https://127.0.0.1:${port}`, {
    clients: [client],
    cookies: { keys: ["not a secret"] },
    claims: { openid: ["sub"], email: ["email"] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: "ada@example.com" }) }),
    features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: false } },
    // What it adds would keep it from calling a client on its own machine, and give up on a slow one.
    fetch: (url, { dispatcher, signal, ...options }) => fetch(url, options),
    interactions: { url: (_, { uid }) => `/enter/${uid}` },
    async loadExistingGrant({ oidc }) {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope("openid email");
      await grant.save();
      return grant;
    },
  });
  op.on("backchannel.success", (_, { clientId }, sub, sid) => told.push(`${clientId} ${sub} ${sid}`));
  op.on("backchannel.error", (_, error) => told.push(`${error}`));
  const pem = readFileSync(CERTIFICATE);
  const answer = op.callback();
  const server = createServer({ key: pem, cert: pem }, (request, response) =>
    request.url.startsWith("/enter/")
      ? op.interactionFinished(request, response, { login: { accountId: "ada" } })
      : answer(request, response),
  );
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return server;
}

/** A browser of ada's, signed in at the provider and at the website. */
async function signedIn() {
  const context = await browser.newContext({ baseURL: stack.origin, ignoreHTTPSErrors: true });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  await page.goto("/");
  await page.goto((await signInStep(page, "start", {})).location);
  assert.equal(new URL(page.url()).origin, stack.origin);
  const returned = Object.fromEntries(new URL(page.url()).searchParams);
  const { status } = await signInStep(page, "finish", returned);
  assert.equal(status, 200);
  assert.equal(await isSignedIn(page), true);
  return page;
}

const refresh = (page) => page.evaluate(() => supertokens.attemptRefreshingSession());

test("whoever signs out at the provider is signed out at once, there and nowhere else", async () => {
  const [here, elsewhere] = [await signedIn(), await signedIn()];
  assert.deepEqual([await refresh(here), await refresh(elsewhere)], [true, true]);

  const there = await here.context().newPage();
  await there.goto(`${process.env.OIDC_ISSUER}/session/end`, { waitUntil: "commit" });
  await there.locator('button[name="logout"]').click();
  await there.waitForURL(/\/session\/end\/success/, { waitUntil: "commit" });
  assert.match(told.join("\n"), /^app-1 ada [\w-]+$/);

  assert.equal(await refresh(here), false);
  assert.equal(await isSignedIn(here), false);
  assert.equal(await refresh(elsewhere), true);
});
