// The application of docs/core.md §2, in a process of its own, because a process sets up the SDK once. `CORES` are the URIs
// of both cores by name, `SESSION_CORE` is the one in use, `OVERRIDE` says whether the override of the document is on.

import { readFileSync } from "node:fs";
import SuperTokens from "supertokens-node";
import Session from "supertokens-node/recipe/session/index.js";
import { startApp } from "./app.js";
import { askCore } from "./harness.js";

const { CORES, OVERRIDE, PORT, SESSION_CORE } = process.env;
const cores = JSON.parse(CORES);

const other = (method, path, body) =>
  askCore({ connectionURI: cores[SESSION_CORE === "new" ? "old" : "new"] }, method, path, body);

function documented() {
  const document = readFileSync(new URL("../../docs/core.md", import.meta.url), "utf8");
  const code = document.split("```js\n").slice(1).map((block) => block.split("```")[0]);
  const override = code.find((block) => block.includes("refreshSession(input)"));
  const body = override.replace("Session.init(", "return Session.init(");
  return new Function("Session", "SuperTokens", "other", body)(Session, SuperTokens, other);
}

const session = OVERRIDE === "true" ? documented() : Session.init();
await startApp(cores[SESSION_CORE], { port: Number(PORT), session });
process.send("ready");
