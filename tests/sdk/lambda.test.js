// supertokens-node behind its own adapter for AWS Lambda, payload 2.0.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import SuperTokens from "supertokens-node";
import { middleware } from "supertokens-node/framework/awsLambda/index.js";
import Session from "supertokens-node/recipe/session/index.js";
import { verifySession } from "supertokens-node/recipe/session/framework/awsLambda/index.js";
import { API_KEY, startCore } from "./harness.js";

const ORIGIN = "https://api.example.com";

let core;

before(async () => {
  core = await startCore();
  SuperTokens.init({
    framework: "awsLambda",
    supertokens: { connectionURI: core.connectionURI, apiKey: API_KEY },
    appInfo: { appName: "test", apiDomain: ORIGIN, websiteDomain: ORIGIN },
    recipeList: [Session.init()],
  });
});

after(() => core.stop());

function event(method, path, headers = {}, cookies = []) {
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath: path,
    rawQueryString: "",
    cookies,
    headers,
    requestContext: { http: { method, path, protocol: "HTTP/1.1" }, stage: "$default" },
    isBase64Encoded: false,
  };
}

const signIn = middleware(async (event) => {
  await Session.createNewSession(event, event, "public", new SuperTokens.RecipeUserId("ada"));
  return { statusCode: 200, body: "{}" };
});
const me = verifySession(async (event) => ({ statusCode: 200, body: event.session.getUserId() }));
const auth = middleware();

const cookiesOf = (answer) =>
  (answer.cookies ?? answer.multiValueHeaders["Set-Cookie"]).map((line) => line.split(";")[0]);

test("a session is made, verified, refreshed and ended by cookies", async () => {
  const signedIn = await signIn(event("POST", "/signin", { "st-auth-mode": "cookie" }));
  assert.equal(signedIn.statusCode, 200);
  const cookies = cookiesOf(signedIn);
  assert.equal((await me(event("GET", "/me", {}, cookies))).body, "ada");
  core.calls();
  const refreshed = await auth(event("POST", "/auth/session/refresh", {}, cookies));
  assert.equal(refreshed.statusCode, 200);
  assert.deepEqual(core.calls(), ["POST /recipe/session/refresh"]);
  const next = cookiesOf(refreshed);
  assert.notDeepEqual(next, cookies);
  assert.equal((await me(event("GET", "/me", {}, next))).body, "ada");
  assert.equal((await auth(event("POST", "/auth/signout", {}, next))).statusCode, 200);
  assert.equal((await auth(event("POST", "/auth/session/refresh", {}, next))).statusCode, 401);
});
