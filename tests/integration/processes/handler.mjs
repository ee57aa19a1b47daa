// A handler that does what its event says, right or wrong.

import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as passes } from "node:timers/promises";

if (process.env.START === "throws") throw new TypeError("no table");
if (process.env.START === "exits") process.exit(3);

let invocations = 0;

const acts = {
  count: () => ({ pid: process.pid, invocations }),
  exit: () => process.exit(7),
  hang: () => new Promise(() => setInterval(() => {}, 60_000)),
  /** Answers once so many processes are in here. */
  meet: async ({ folder, processes }) => {
    writeFileSync(join(folder, `${process.pid}`), "");
    while (readdirSync(folder).length < processes) await passes(10);
    return process.pid;
  },
  /** Answers for an invocation that is none. */
  confuse: async () => {
    const invocation = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation/unknown`;
    const post = (outcome) => fetch(`${invocation}/${outcome}`, { method: "POST", body: "{}" });
    const answers = [await post("response"), await post("error")];
    return Promise.all(answers.map(async (answer) => [answer.status, (await answer.json()).errorType]));
  },
};

export const handler = (event) => {
  invocations += 1;
  return acts[event.act](event);
};
