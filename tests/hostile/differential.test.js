// The hostile tokens, judged by jose and PyJWT. What we accept, they accept. What they accept beyond that is in
// disagreements.tsv: which tokens (a pattern of family and name), how many with each library, and why ours is right.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as jose from "./jose.js";
import { python } from "./python.js";

/** The most that a run of the generator or of PyJWT prints. */
const MAX_OUTPUT_BYTES = 100_000_000;

function hostileTokens() {
  const generator = spawnSync(process.env.HOSTILE_TOKENS_BIN, ["--lines"], { maxBuffer: MAX_OUTPUT_BYTES });
  assert.equal(generator.status, 0, `HOSTILE_TOKENS_BIN must be the built generator: ${generator.error ?? generator.stderr}`);
  return generator.stdout.toString();
}

/** The rows of a table with a header line. */
function table(name) {
  const [head, ...rows] = readFileSync(new URL(name, import.meta.url), "utf8").trimEnd().split("\n");
  const columns = head.split("\t");
  return rows.map((row) => Object.fromEntries(row.split("\t").map((cell, index) => [columns[index], cell])));
}

test("every disagreement with jose and PyJWT is explained", async (t) => {
  const lines = hostileTokens();
  const [jwks, ...tokens] = lines.trimEnd().split("\n").map((line) => JSON.parse(line));
  const verdicts = {
    jose: await jose.accepts(jwks, tokens),
    pyjwt: JSON.parse(python("pyjwt.py", [], lines, MAX_OUTPUT_BYTES)),
  };

  const classes = table("disagreements.tsv").map((row) => ({ ...row, found: { jose: 0, pyjwt: 0 } }));
  const problems = [];
  for (const [library, accepted] of Object.entries(verdicts)) {
    assert.equal(accepted.length, tokens.length);
    tokens.forEach((token, index) => {
      if (accepted[index] === token.accepted) return;
      const name = `${token.family}: ${token.name}`;
      const matching = classes.filter((it) => new RegExp(`^(${it.tokens})$`).test(name));
      for (const { found } of matching) found[library] += 1;
      if (token.accepted) problems.push(`${name}: refused by ${library} only`);
      else if (matching.length !== 1) problems.push(`${name}: accepted by ${library}, explained ${matching.length} times`);
    });
  }
  for (const { class: name, found, ...expected } of classes) {
    for (const [library, count] of Object.entries(found)) {
      const isExpected = expected[library] === "some" ? count > 0 : count === Number(expected[library]);
      if (!isExpected) problems.push(`${name}: ${count} tokens with ${library}, the table says ${expected[library]}`);
    }
  }
  assert.deepEqual(problems, []);

  const count = (library) => tokens.filter((token, index) => verdicts[library][index] !== token.accepted).length;
  t.diagnostic(`${tokens.length} tokens; jose accepts ${count("jose")} more than we do, PyJWT ${count("pyjwt")}, all explained`);
});
