// Starts the stack as a process of its own, and stops it by the handle it holds.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const START_TIMEOUT_MS = 20_000;

/** Runs the `local` executable, on a free port unless told, with lifetimes short enough to watch them end. */
export async function startStack({ port = 0, accessTokenTtl = 2, refreshFlight = 1, settings = [] } = {}) {
  const binary = process.env.LOCAL_BIN;
  if (!binary) throw new Error("LOCAL_BIN must be the path of the built `local` executable");

  const server = spawn(
    binary,
    [
      ...["--port", `${port}`, "--access-token-ttl", `${accessTokenTtl}`, "--refresh-flight", `${refreshFlight}`],
      ...settings.flatMap((setting) => ["--set", setting]),
      ...(process.env.LOCAL_ARGS?.split(" ") ?? []),
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const output = [];
  const origin = new Promise((resolve, reject) => {
    for (const stream of [server.stdout, server.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        output.push(line);
        const url = line.match(/http:\/\/127\.0\.0\.1:\d+/);
        if (url) resolve(url[0]);
      });
    }
    const fail = (why) => reject(new Error([`the stack did not start: ${why}`, ...output].join("\n")));
    server.once("error", fail);
    server.once("exit", (code) => fail(`exit code ${code}`));
    setTimeout(fail, START_TIMEOUT_MS, "no URL printed in time").unref();
  });

  const stop = async () => {
    if (server.pid === undefined || server.exitCode !== null || server.signalCode !== null) return;
    server.kill();
    await once(server, "exit");
  };
  try {
    return { origin: await origin, output, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
