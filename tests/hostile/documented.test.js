// What docs/authorizer.md (1.20) tells users of other libraries to write, word for word, against a running stack.

import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { startStack } from "../browser/stack.js";
import { python } from "./python.js";

const DOCUMENTED_ISSUER = "https://api.example.com/auth";

/** The code of that language in the section, with the issuer of the stack. */
function documented(language, issuer) {
  const document = readFileSync(new URL("../../docs/authorizer.md", import.meta.url), "utf8");
  const section = document.split("### 1.20 JWT libraries")[1].split("\n## ")[0];
  const blocks = section.split("```" + language + "\n").slice(1);
  assert.equal(blocks.length, 1, language);
  const code = blocks[0].split("```")[0];
  assert.ok(code.includes(DOCUMENTED_ISSUER));
  return code.replaceAll(DOCUMENTED_ISSUER, issuer);
}

async function post(url, body) {
  const headers = { "content-type": "application/json", "st-auth-mode": "header" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 200, url);
  return answer;
}

/** The subject of each token that the documented function accepts, false for each that it refuses. */
const verdicts = {
  js: async (code, tokens) => {
    // Beside the libraries, so that it finds them.
    const file = new URL(`.documented-${process.pid}-${Math.random()}.mjs`, import.meta.url);
    writeFileSync(file, code);
    try {
      const { verify } = await import(file);
      const subject = async (token) => {
        try {
          return (await verify(token)).sub;
        } catch (error) {
          // Whatever is not the library's own verdict is a fault of the code.
          if (!error.code?.startsWith("ERR_J")) throw error;
          return false;
        }
      };
      return await Promise.all(tokens.map(subject));
    } finally {
      rmSync(file);
    }
  },
  python: async (code, tokens) => JSON.parse(python("documented.py", [code], JSON.stringify(tokens))),
};

describe("what is documented for other libraries", () => {
  let stack, tokens;
  before(async () => {
    stack = await startStack({ accessTokenTtl: 60 });
    const session = await post(`${stack.origin}/example/signin`, { userId: "ada" });
    // As like a session as can be.
    const visitor = await post(`${stack.origin}/example/visitor`, { sub: "ada", rsub: "ada", tId: "public", stt: 0 });
    tokens = [session.headers.get("st-access-token"), (await visitor.json()).token];
  });
  after(() => stack?.stop());

  for (const [language, judge] of Object.entries(verdicts)) {
    test(`${language}: accepts a session and refuses a visitor's JWT`, async () => {
      const code = documented(language, `${stack.origin}/auth`);
      assert.deepEqual(await judge(code, tokens), ["ada", false]);
    });

    test(`${language}: what tells the two apart is the demand of a session handle`, async () => {
      const code = documented(language, `${stack.origin}/auth`).replace(', "sessionHandle"', "");
      assert.deepEqual(await judge(code, tokens), ["ada", "ada"]);
    });
  }
});
