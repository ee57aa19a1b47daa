// The sign-in examples in other languages, as they are, behind the gateway: the SDK in the page, the AWS SDK behind it.

import assert from "node:assert/strict";
import { request } from "node:http";
import { test } from "node:test";
import { callMe, countRequests, isSignedIn, REFRESH, useStage } from "./harness.js";

const stage = useStage();
const CREDENTIALS = { email: "ada@example.com", password: "correct horse battery staple" };

/** Signs in from the page, through the SDK. */
const signInBy = (page, language, credentials = CREDENTIALS) =>
  page.evaluate(
    async ([path, body]) => {
      const headers = { "content-type": "application/json" };
      return (await fetch(path, { method: "POST", headers, body: JSON.stringify(body) })).status;
    },
    [`/example/${language}/signin`, credentials],
  );

/** Status of a sign-in with headers that no page can choose, and whether it handed out a token. */
function forged(language, headers, body = JSON.stringify(CREDENTIALS)) {
  return new Promise((resolve, reject) => {
    const url = new URL(`/example/${language}/signin`, stage.stack.origin);
    const sent = request(url, { method: "POST", headers }, (answer) => {
      answer.resume().on("end", () => resolve([answer.statusCode, "front-token" in answer.headers]));
    });
    sent.on("error", reject).end(body);
  });
}

for (const language of ["node", "python"]) {
  test(`${language}: a password signs in, and the session refreshes`, async () => {
    const { page } = stage;
    await page.goto("/");
    assert.equal(await signInBy(page, language), 200);
    assert.equal(await isSignedIn(page), true);
    const me = await page.evaluate(async () => (await fetch("/api/me")).json());
    assert.equal(me.userId, "ada");
    assert.deepEqual(me.accessTokenPayload["st-role"].v, ["member"]);
    assert.deepEqual(me.accessTokenPayload.amr, ["pwd"]);

    const requests = countRequests(page);
    await page.waitForTimeout(2_500); // the token's life
    assert.deepEqual(await callMe(page), [200]);
    assert.equal(requests(REFRESH), 1);
  });

  test(`${language}: a wrong password signs nobody in`, async () => {
    const { page } = stage;
    await page.goto("/");
    assert.equal(await signInBy(page, language, { ...CREDENTIALS, password: "x" }), 403);
    assert.equal(await signInBy(page, language, { ...CREDENTIALS, email: "eve@example.com" }), 403);
    assert.equal(await isSignedIn(page), false);
  });

  test(`${language}: no page of another site signs its visitor in`, async () => {
    const json = { "content-type": "application/json" };
    assert.deepEqual(await forged(language, json), [200, true]);
    assert.deepEqual(await forged(language, { ...json, origin: stage.stack.origin }), [200, true]);
    assert.deepEqual(await forged(language, { "content-type": "text/plain" }), [415, false]);
    assert.deepEqual(await forged(language, { "content-type": "application/x-www-form-urlencoded" }), [415, false]);
    assert.deepEqual(await forged(language, { ...json, origin: "https://evil.example" }), [403, false]);
    assert.deepEqual(await forged(language, { ...json, origin: "null" }), [403, false]);
    assert.deepEqual(await forged(language, { ...json, "sec-fetch-site": "cross-site" }), [403, false]);
  });
}
