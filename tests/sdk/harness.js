// A stack whose core asks for a key, and a proxy in front of it that remembers what an SDK calls.

import { createServer } from "node:http";
import { once } from "node:events";
import { startStack } from "../browser/stack.js";

export const API_KEY = "key-of-the-sdk-tests-1";

/** Long enough for a test to use an access token, short enough to wait for its end. */
export const ACCESS_TOKEN_TTL_SECONDS = 6;
/** F is 1 s, so a spent token is worth nothing after this. */
export const WINDOW_MS = 2_100;

/** What the reference's refresh tokens have behind them. */
const DOTS = ".nonce.V2";

/**
 * Starts both. `calls()` gives the calls since it was asked last, as `POST /recipe/session`. With `hasDots`, refresh
 * tokens look like the reference's.
 */
export async function startCore({ accessTokenTtl = ACCESS_TOKEN_TTL_SECONDS, hasDots = false } = {}) {
  const stack = await startStack({
    accessTokenTtl,
    settings: [`CORE_API_KEYS=${API_KEY}`],
  });
  let seen = [];
  const proxy = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { pathname } = new URL(request.url, stack.origin);
    const path = pathname.replace(/^\/core(\/public)?/, "");
    seen.push(`${request.method} ${path}`);
    const headers = { ...request.headers };
    for (const name of ["host", "connection", "content-length", "transfer-encoding"]) delete headers[name];
    let body = chunks.length > 0 ? Buffer.concat(chunks).toString() : undefined;
    if (hasDots) body = body?.replace(DOTS, "");
    const answer = await fetch(stack.origin + request.url, { method: request.method, headers, body });
    response.writeHead(answer.status, {
      "content-type": answer.headers.get("content-type") ?? "text/plain",
      ...(answer.headers.has("cache-control") && { "cache-control": answer.headers.get("cache-control") }),
    });
    const text = await answer.text();
    response.end(hasDots ? text.replace(/("refreshToken":{[^}]*"token":"[^"]*)/, `$1${DOTS}`) : text);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return {
    stack,
    connectionURI: `http://127.0.0.1:${proxy.address().port}/core`,
    calls() {
      const calls = seen;
      seen = [];
      return calls;
    },
    async stop() {
      proxy.closeAllConnections();
      proxy.close();
      await stack.stop();
    },
  };
}

/** Calls a core without an SDK. */
export async function askCore({ connectionURI }, method, path, body) {
  const headers = { "api-key": API_KEY, "cdi-version": "5.4", "content-type": "application/json" };
  const answer = await fetch(connectionURI + path, { method, headers, body: body && JSON.stringify(body) });
  return answer.json();
}

/** A client that keeps cookies or header tokens as the web SDK does, without a browser. */
export class Client {
  #cookies = new Map();
  #tokens = {};

  constructor(origin, mode) {
    this.origin = origin;
    this.mode = mode;
  }

  get accessToken() {
    return this.mode === "cookie" ? this.#cookies.get("sAccessToken") : this.#tokens.access;
  }

  get refreshToken() {
    return this.mode === "cookie" ? this.#cookies.get("sRefreshToken") : this.#tokens.refresh;
  }

  /** Another client with the same tokens: a thief, or a copy of the page. */
  copy() {
    const copy = new Client(this.origin, this.mode);
    copy.#cookies = new Map(this.#cookies);
    copy.#tokens = { ...this.#tokens };
    return copy;
  }

  async send(method, path, body) {
    const headers = { "st-auth-mode": this.mode, rid: "anti-csrf" };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (this.mode === "cookie") {
      headers.cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    } else {
      const token = path.endsWith("/session/refresh") ? this.#tokens.refresh : this.#tokens.access;
      if (token) headers.authorization = `Bearer ${token}`;
    }
    const answer = await fetch(this.origin + path, { method, headers, body: body && JSON.stringify(body) });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      if (value === "") this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    for (const [name, header] of [["access", "st-access-token"], ["refresh", "st-refresh-token"]]) {
      const value = answer.headers.get(header);
      if (value === "") delete this.#tokens[name];
      else if (value !== null) this.#tokens[name] = value;
    }
    const text = await answer.text();
    return { status: answer.status, body: text.startsWith("{") ? JSON.parse(text) : text };
  }

  refresh() {
    return this.send("POST", "/auth/session/refresh");
  }
}
