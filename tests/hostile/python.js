// Runs one of the Python scripts here.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));

/** What the script prints. */
export function python(script, args, input, maxBuffer) {
  const run = spawnSync(`${here}.venv/bin/python`, [here + script, ...args], { input, maxBuffer });
  assert.equal(run.status, 0, `${script}: ${run.error ?? run.stderr}`);
  return run.stdout.toString();
}
