// A runtime without a handler: answers with what it was told, and ends after so many events.

const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;

for (let asked = 1; asked <= Number(process.env.EVENTS); asked++) {
  const next = await fetch(`${api}/next`);
  const headers = Object.fromEntries(next.headers);
  const answer = { asked, pid: process.pid, status: next.status, event: await next.json(), headers };
  const id = headers["lambda-runtime-aws-request-id"];
  await fetch(`${api}/${id}/response`, { method: "POST", body: JSON.stringify(answer) });
}
