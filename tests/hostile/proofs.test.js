// The hostile DPoP proofs, judged by oauth4webapi and PyJWT. proof-disagreements.tsv says where the libraries differ:
// which proofs (a pattern of family and name), how many with each library accept what we refuse, and why ours is right.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import { python } from "./python.js";

/** The most that a run of the generator or of PyJWT prints. */
const MAX_OUTPUT_BYTES = 100_000_000;

/** Whether oauth4webapi lets the request with each proof through to a resource. */
async function oauth4webapi(request, proofs) {
  const server = { issuer: "https://api.example.com/auth", jwks_uri: "https://api.example.com/jwks.json" };
  const options = {
    requireDPoP: true,
    signingAlgorithms: ["ES256", "EdDSA", "Ed25519"],
    [oauth.customFetch]: async () => Response.json(request.jwks),
    [oauth.clockTolerance]: 0,
  };
  const verdicts = [];
  for (const { proof, accessToken } of proofs) {
    let presented;
    try {
      const headers = { authorization: `DPoP ${accessToken}`, dpop: proof };
      presented = new Request(request.url, { method: request.method, headers });
    } catch {
      verdicts.push(false); // no header can hold it
      continue;
    }
    // Reading the clock for each is near enough: no proof is within seconds of a border of theirs.
    options[oauth.clockSkew] = Math.floor(request.now / 1000) - Math.floor(Date.now() / 1000);
    const verdict = oauth.validateJwtAccessToken(server, presented, "https://api.example.com", options);
    verdicts.push(await verdict.then(() => true, () => false));
  }
  return verdicts;
}

/** The rows of a table with a header line. */
function table(name) {
  const [head, ...rows] = readFileSync(new URL(name, import.meta.url), "utf8").trimEnd().split("\n");
  const columns = head.split("\t");
  return rows.map((row) => Object.fromEntries(row.split("\t").map((cell, index) => [columns[index], cell])));
}

test("every disagreement with oauth4webapi and PyJWT about a proof is explained", async (t) => {
  const generator = spawnSync(process.env.HOSTILE_TOKENS_BIN, ["--proof-lines"], { maxBuffer: MAX_OUTPUT_BYTES });
  assert.equal(generator.status, 0, `HOSTILE_TOKENS_BIN must be the built generator: ${generator.error ?? generator.stderr}`);
  const lines = generator.stdout.toString();
  const [request, ...proofs] = lines.trimEnd().split("\n").map((line) => JSON.parse(line));
  const verdicts = {
    oauth4webapi: await oauth4webapi(request, proofs),
    pyjwt: JSON.parse(python("dpop_proofs.py", [], lines, MAX_OUTPUT_BYTES)),
  };

  const classes = table("proof-disagreements.tsv").map((row) => ({ ...row, found: { oauth4webapi: 0, pyjwt: 0 } }));
  const problems = [];
  for (const [library, accepted] of Object.entries(verdicts)) {
    assert.equal(accepted.length, proofs.length);
    proofs.forEach((proof, index) => {
      if (accepted[index] === proof.accepted) return;
      const name = `${proof.family}: ${proof.name}`;
      const matching = classes.filter((it) => new RegExp(`^(${it.proofs})$`).test(name));
      for (const { found } of matching) found[library] += 1;
      if (matching.length !== 1) {
        problems.push(`${name}: ${proof.accepted ? "refused" : "accepted"} by ${library}, explained ${matching.length} times`);
      }
    });
  }
  for (const { class: name, found, ...expected } of classes) {
    for (const [library, count] of Object.entries(found)) {
      if (count !== Number(expected[library])) problems.push(`${name}: ${count} proofs with ${library}, the table says ${expected[library]}`);
    }
  }
  assert.deepEqual(problems, []);
  t.diagnostic(`${proofs.length} proofs, ${proofs.filter((proof) => proof.accepted).length} of them accepted; all differences explained`);
});
