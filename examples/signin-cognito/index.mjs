// Sign-in on the page of an OpenID Connect provider, such as Cognito's managed login, by authorization code with PKCE.
//
// 1. The website calls POST /signin/start and sends the browser to the `location` in the answer.
// 2. The user signs in there and comes back to a page of the website, with `code` and `state` in its address.
// 3. That page calls POST /signin/finish with both, and gets the tokens of a new session.
//
// What keeps a stranger from finishing an attempt that this browser did not begin (login CSRF) is a cookie that only the
// first call sets: state, nonce and verifier are made of it. Forms and other origins are refused as well.
import { createHash, randomBytes } from "node:crypto";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import * as oidc from "openid-client";

const lambda = new LambdaClient({});
const { OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_REDIRECT_URI, CREATE_SESSION_FUNCTION } = process.env;
let provider; // asked once what its endpoints are

export async function handler(event) {
  if (!event.headers["content-type"]?.startsWith("application/json")) return message(415, "send JSON");
  provider ??= await discovered();
  return event.rawPath.endsWith("/start") ? start() : finish(event);
}

async function discovered() {
  const found = await oidc.discovery(new URL(OIDC_ISSUER), OIDC_CLIENT_ID, undefined, oidc.None());
  oidc.enableNonRepudiationChecks(found); // ID tokens must be signed by one of the provider's keys
  return found;
}

async function start() {
  const secret = randomBytes(32).toString("base64url");
  const { state, nonce, verifier } = attemptOf(secret);
  const location = oidc.buildAuthorizationUrl(provider, {
    redirect_uri: OIDC_REDIRECT_URI,
    scope: "openid email",
    state,
    nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  return { ...message(200, "go there to sign in", { location }), cookies: [cookie(secret, 600)] };
}

async function finish(event) {
  const secret = event.cookies?.find((it) => it.startsWith("__Host-signin="))?.split("=")[1];
  if (!secret) return message(403, "this browser did not begin this sign-in, or too long ago: begin again");
  const { state, nonce, verifier } = attemptOf(secret);
  let user;
  try {
    const returned = new URL(`${OIDC_REDIRECT_URI}?${new URLSearchParams(JSON.parse(event.body))}`);
    const expected = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true };
    user = (await oidc.authorizationCodeGrant(provider, returned, expected)).claims();
  } catch (error) {
    console.error(error.code, error.message);
    return message(403, "this sign-in does not hold: begin again");
  }

  const input = {
    userId: user.sub,
    claims: { "st-role": { v: user["cognito:groups"] ?? [], t: Date.now() } },
    sessionData: { email: user.email },
    authentication: user.auth_time && { authTime: user.auth_time, amr: user.amr },
    // So that the provider can end the session: docs/revocation.md.
    provider: { issuer: user.iss, subject: user.sub, sessionId: user.sid },
    idempotencyKey: state, // should the AWS SDK send this twice, there is one session
    event: { ...event, body: null },
  };
  const invoke = new InvokeCommand({ FunctionName: CREATE_SESSION_FUNCTION, Payload: JSON.stringify(input) });
  const answer = await lambda.send(invoke);
  const { error, response } = JSON.parse(Buffer.from(answer.Payload));
  if (!response) throw new Error(`create-session failed: ${answer.FunctionError}`);
  if (error) console.error(error.code, error.message);
  return { ...response, cookies: [...response.cookies, cookie("", 0)] }; // the attempt serves once
}

function attemptOf(secret) {
  const of = (purpose) => createHash("sha256").update(`${purpose} ${secret}`).digest("base64url");
  return { state: of("state"), nonce: of("nonce"), verifier: of("verifier") };
}

// The prefix keeps pages of sibling domains from planting an attempt of theirs. Where website and API are different
// sites, this takes SameSite=None.
const cookie = (secret, maxAge) =>
  `__Host-signin=${secret}; Path=/; Max-Age=${maxAge}; HttpOnly; Secure; SameSite=Lax`;

// Never 401, which a front end that is signed in takes for an expired session.
const message = (statusCode, message, more) => ({ statusCode, body: JSON.stringify({ message, ...more }) });
