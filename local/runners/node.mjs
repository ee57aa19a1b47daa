// A custom runtime: asks Lambda's Runtime API for events, hands them to a JavaScript handler, says what came of them.

import { request } from "node:http";
import { json } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

// Not fetch, which waits for five minutes at most.
const call = (method, path, body) =>
  new Promise((resolve, reject) => {
    const url = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/${path}`;
    request(url, { method }, resolve).on("error", reject).end(body);
  });
const post = async (path, body) => (await call("POST", path, body)).resume();
const report = (path, { name, message }) => post(path, JSON.stringify({ errorType: name, errorMessage: message }));

const { handler } = await import(pathToFileURL(process.argv[2]).href).catch(async (error) => {
  await report("init/error", error);
  throw error;
});

for (;;) {
  const next = await call("GET", "invocation/next");
  const invocation = `invocation/${next.headers["lambda-runtime-aws-request-id"]}`;
  const event = await json(next);
  let answer;
  try {
    answer = JSON.stringify((await handler(event)) ?? null);
  } catch (error) {
    await report(`${invocation}/error`, error);
    continue;
  }
  await post(`${invocation}/response`, answer);
}
