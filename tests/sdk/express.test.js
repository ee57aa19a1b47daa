// supertokens-node with Express: over HTTP by cookies and headers, and by its functions.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as passes } from "node:timers/promises";
import SuperTokens from "supertokens-node";
import JWT from "supertokens-node/recipe/jwt/index.js";
import Session from "supertokens-node/recipe/session/index.js";
import { plan, startApp } from "./app.js";
import { ACCESS_TOKEN_TTL_SECONDS, Client, WINDOW_MS, startCore } from "./harness.js";

const user = (id) => new SuperTokens.RecipeUserId(id);

let app;
let core;
let origin;

before(async () => {
  core = await startCore();
  app = await startApp(core.connectionURI);
  origin = app.origin;
});

after(async () => {
  app.stop();
  await core.stop();
});

async function signIn(mode, userId = "bob") {
  const client = new Client(origin, mode);
  const answer = await client.send("POST", "/signin", { userId });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return { client, handle: answer.body.handle };
}

for (const mode of ["cookie", "header"]) {
  describe(`by ${mode}`, () => {
    test("a session is made in two calls, verified in none, and refreshed in one", async () => {
      await signIn(mode); // The first call asks for versions and keys.
      core.calls();
      const { client } = await signIn(mode);
      assert.deepEqual(core.calls(), ["GET /user/id", "POST /recipe/session"]);
      await client.send("GET", "/me");
      core.calls();
      const { status, body } = await client.send("GET", "/me");
      assert.equal(status, 200);
      assert.deepEqual([body.userId, body.payload.role, body.payload.iss], ["bob", "member", `${origin}/auth`]);
      assert.deepEqual(core.calls(), []);
      assert.equal((await client.refresh()).status, 200);
      assert.deepEqual(core.calls(), ["POST /recipe/session/refresh"]);
      assert.equal((await client.send("GET", "/me")).status, 200);
      assert.deepEqual(core.calls(), [], "the new token needs no confirmation");
    });

    test("an access token ends, and a refresh goes on", async () => {
      const { client } = await signIn(mode);
      await passes(ACCESS_TOKEN_TTL_SECONDS * 1000);
      const { status, body } = await client.send("GET", "/me");
      assert.deepEqual([status, body.message], [401, "try refresh token"]);
      assert.equal((await client.refresh()).status, 200);
      assert.equal((await client.send("GET", "/me")).status, 200);
    });

    test("refreshes at once and answers that are lost end nothing", async () => {
      const { client } = await signIn(mode);
      const copies = [1, 2, 3, 4].map(() => client.copy());
      const answers = await Promise.all(copies.map((copy) => copy.refresh()));
      assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200, 200]);
      assert.equal(new Set(copies.map(({ refreshToken }) => refreshToken)).size, 1);
      await passes(WINDOW_MS);
      assert.equal((await client.refresh()).status, 200, "its answers went to the copies");
    });

    test("theft ends the session for both", async () => {
      const { client, handle } = await signIn(mode);
      const thief = client.copy();
      for (let turn = 0; turn < 2; turn += 1) {
        assert.equal((await client.refresh()).status, 200);
        await passes(WINDOW_MS);
      }
      const { status, body } = await thief.refresh();
      assert.deepEqual([status, body.message], [401, "token theft detected"]);
      assert.equal(await Session.getSessionInformation(handle), undefined);
      assert.equal((await client.refresh()).status, 401);
      assert.equal(client.refreshToken, undefined, "tokens are cleared");
    });

    test("signing out is one call, and noticed at once where the table is asked", async () => {
      const { client } = await signIn(mode);
      const copy = client.copy();
      await client.send("GET", "/me");
      core.calls();
      assert.equal((await client.send("POST", "/auth/signout")).body.status, "OK");
      assert.deepEqual(core.calls(), ["POST /recipe/session/remove"]);
      assert.equal((await copy.send("GET", "/me")).status, 200, "until its token ends");
      assert.equal((await copy.send("GET", "/strict")).status, 401);
    });

    test("claims of a request's session are changed in one call", async () => {
      const { client } = await signIn(mode);
      await client.send("GET", "/me");
      core.calls();
      assert.equal((await client.send("POST", "/claims", { role: "admin", extra: { a: [1] } })).status, 200);
      assert.deepEqual(core.calls(), ["POST /recipe/session/regenerate"]);
      const { body } = await client.send("GET", "/me");
      assert.deepEqual([body.payload.role, body.payload.extra], ["admin", { a: [1] }]);
      assert.equal((await client.send("POST", "/claims", { role: null })).status, 200);
      assert.equal((await client.send("GET", "/me")).body.payload.role, undefined);
    });

    test("claims that a route demands are fetched", async () => {
      const { client: ada } = await signIn(mode, "ada");
      const { client: bob } = await signIn(mode, "bob");
      assert.equal((await ada.send("GET", "/gold")).status, 200);
      const { status, body } = await bob.send("GET", "/gold");
      assert.equal(status, 403);
      assert.equal(body.claimValidationErrors[0].id, "plan");
    });
  });
}

describe("by functions", () => {
  const create = (userId, tenant = "public") =>
    Session.createNewSessionWithoutRequestResponse(tenant, user(userId), { a: 1 }, { kept: null }, true);

  test("sessions are read, listed and revoked", async () => {
    const sessions = await Promise.all([create("eve"), create("eve"), create("eve")]);
    const handles = sessions.map((session) => session.getHandle()).sort();
    const information = await Session.getSessionInformation(handles[0]);
    assert.equal(information.userId, "eve");
    assert.equal(information.recipeUserId.getAsString(), "eve");
    assert.deepEqual(information.sessionDataInDatabase, { kept: null });
    assert.equal(information.customClaimsInAccessTokenPayload.a, 1);
    assert.ok(information.expiry > information.timeCreated);
    assert.deepEqual((await Session.getAllSessionHandlesForUser("eve")).sort(), handles);
    assert.equal(await Session.revokeSession(handles[0]), true);
    assert.equal(await Session.revokeSession(handles[0]), false);
    assert.deepEqual((await Session.revokeMultipleSessions(handles)).sort(), handles.slice(1));
    await create("eve");
    assert.equal((await Session.revokeAllSessionsForUser("eve")).length, 1);
    assert.deepEqual(await Session.getAllSessionHandlesForUser("eve"), []);
  });

  test("data is replaced, claims are merged by handle", async () => {
    const handle = (await create("eve")).getHandle();
    assert.equal(await Session.updateSessionDataInDatabase(handle, { b: [1.5, null] }), true);
    assert.equal(await Session.mergeIntoAccessTokenPayload(handle, { a: null, c: "é" }), true);
    const information = await Session.getSessionInformation(handle);
    assert.deepEqual(information.sessionDataInDatabase, { b: [1.5, null] });
    const { iss, ...claims } = information.customClaimsInAccessTokenPayload;
    assert.deepEqual([iss, claims], [`${origin}/auth`, { c: "é" }]);
    assert.equal(await Session.updateSessionDataInDatabase("unknown", {}), false);
    assert.equal(await Session.mergeIntoAccessTokenPayload("unknown", {}), false);
  });

  test("claims by handle are set, validated and removed", async () => {
    const handle = (await create("ada")).getHandle();
    assert.equal(await Session.fetchAndSetClaim(handle, plan), true);
    assert.deepEqual(await Session.getClaimValue(handle, plan), { status: "OK", value: "gold" });
    const validated = await Session.validateClaimsForSessionHandle(handle, () => [plan.validators.hasValue("free")]);
    assert.equal(validated.invalidClaims[0].id, "plan");
    await Session.removeClaim(handle, plan);
    assert.deepEqual(await Session.getClaimValue(handle, plan), { status: "OK", value: undefined });
  });

  test("tokens are read and exchanged without a request", async () => {
    const tokens = (await create("eve")).getAllSessionTokensDangerously();
    const read = await Session.getSessionWithoutRequestResponse(tokens.accessToken, tokens.antiCsrfToken);
    assert.equal(read.getUserId(), "eve");
    const refreshed = await Session.refreshSessionWithoutRequestResponse(tokens.refreshToken, true);
    assert.notEqual(refreshed.getAllSessionTokensDangerously().refreshToken, tokens.refreshToken);
    await assert.rejects(Session.refreshSessionWithoutRequestResponse("nonsense", true), { type: "UNAUTHORISED" });
  });

  test("tenants are kept apart", async () => {
    const handles = [];
    for (const tenant of ["public", "t1", "t2"]) handles.push((await create("tess", tenant)).getHandle());
    assert.equal((await Session.getSessionInformation(handles[1])).tenantId, "t1");
    assert.equal((await Session.getAllSessionHandlesForUser("tess")).length, 3);
    assert.deepEqual(await Session.getAllSessionHandlesForUser("tess", true, "t1"), [handles[1]]);
    assert.deepEqual(await Session.revokeAllSessionsForUser("tess", true, "t2"), [handles[2]]);
    assert.equal((await Session.revokeAllSessionsForUser("tess")).length, 2);
  });

  test("JWTs are signed, and verified by the published keys", async () => {
    const { jwt } = await JWT.createJWT({ sub: "guest" }, 60);
    const [header, payload] = jwt.split(".").map((part) => part && Buffer.from(part, "base64url").toString());
    const { keys } = await JWT.getJWKS();
    const { kid } = JSON.parse(header);
    assert.ok(kid.startsWith("s-") && keys.some((key) => key.kid === kid));
    const { sub, iss, iat, exp } = JSON.parse(payload);
    assert.deepEqual([sub, iss, exp - iat], ["guest", origin, 60]);
    const published = await (await fetch(`${origin}/auth/jwt/jwks.json`)).json();
    assert.deepEqual(published.keys, keys);
  });

  test("a wrong key and a text that is no session are told apart from a session that is over", async () => {
    const answer = await fetch(`${core.connectionURI}/recipe/session`, { method: "POST", headers: { "api-key": "wrong" } });
    assert.deepEqual([answer.status, await answer.text()], [401, "Invalid API key"]);
    assert.equal(await Session.getSessionInformation("nonsense"), undefined);
  });
});
