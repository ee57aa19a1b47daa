// Keeps a JavaScript handler warm, as a sandbox does: an event per line in, an answer per line out.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// Standard output belongs to the answers; what the handler logs goes where logs go.
console.log = console.info = console.debug = console.error;

const { handler } = await import(pathToFileURL(process.argv[2]).href);

for await (const line of createInterface({ input: process.stdin })) {
  let reply;
  try {
    reply = { answer: (await handler(JSON.parse(line))) ?? null };
  } catch (error) {
    reply = { errorType: error.name, errorMessage: error.message };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
