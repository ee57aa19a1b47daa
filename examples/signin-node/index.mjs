// Sign-in in JavaScript: check a password, and let Sesam's create-session make the session. What that function
// answers is returned as it is, errors included. It also refuses what a foreign page may have sent (login CSRF): forms,
// and other origins.
import { randomUUID, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";

const lambda = new LambdaClient({});
// Your users. This one's password is "correct horse battery staple".
const hash = Buffer.from("368b6a72f89e42372fc4e001df190484a463f7e8c77ad3cf11e3babe4c8031c3", "hex");
const users = new Map([["ada@example.com", { id: "ada", roles: ["member"], salt: "c2FsdA", hash }]]);

export async function handler(event) {
  const { email, password } = parsed(event.body);
  const user = users.get(email);
  // An unknown address takes as long as a wrong password.
  const presented = await promisify(scrypt)(`${password}`, user?.salt ?? "", 32);
  if (!user || !timingSafeEqual(presented, user.hash)) return message(403, "wrong e-mail address or password");

  const input = {
    userId: user.id,
    claims: { "st-role": { v: user.roles, t: Date.now() } },
    authentication: { authTime: Math.floor(Date.now() / 1000), amr: ["pwd"] },
    idempotencyKey: randomUUID(), // should the AWS SDK send this twice, there is one session
    event: { ...event, body: null }, // the password stays here
  };
  const FunctionName = process.env.CREATE_SESSION_FUNCTION;
  const answer = await lambda.send(new InvokeCommand({ FunctionName, Payload: JSON.stringify(input) }));
  const { error, response } = JSON.parse(Buffer.from(answer.Payload));
  if (!response) throw new Error(`create-session failed: ${answer.FunctionError}`);
  if (error) console.error(error.code, error.message);
  return response;
}

const parsed = (text) => { try { return JSON.parse(text) ?? {}; } catch { return {}; } };
const message = (statusCode, message) => ({ statusCode, body: JSON.stringify({ message }) });
