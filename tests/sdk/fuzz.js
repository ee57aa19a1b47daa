// Schemathesis against the core of a stack: whatever is sent, the answer is as docs/core-openapi.yaml says.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { API_KEY } from "./harness.js";
import { startStack } from "../browser/stack.js";

const here = fileURLToPath(new URL(".", import.meta.url));
const stack = await startStack({ settings: [`CORE_API_KEYS=${API_KEY}`] });
try {
  const { status } = spawnSync(
    `${here}.venv/bin/schemathesis`,
    ["run", "../../docs/core-openapi.yaml", "--url", `${stack.origin}/core`, "--header", `api-key: ${API_KEY}`],
    { cwd: here, stdio: "inherit" },
  );
  process.exitCode = status ?? 1;
} finally {
  await stack.stop();
}
