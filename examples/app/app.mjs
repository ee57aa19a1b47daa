// An app whose session is bound to a key that cannot be copied (docs/device-binding.md, "Apps"): WebCrypto, no dependency, for Node and
// browsers. An app of a platform with a key store of its own keeps the key there, and signs the same texts.

const encode = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/=/g, "").replace(/\+/g, "-").replace(/\//g, "_");
const encodeJson = (value) => encode(new TextEncoder().encode(JSON.stringify(value)));
const decodeJson = (part) => JSON.parse(atob(part.replace(/-/g, "+").replace(/_/g, "/")));

export class App {
  #api;
  #keys;
  #tokens = {};
  #nonce;

  /** An app for the API at this origin, which must be its API_DOMAIN; with a key of its own, whose private half nobody can read. */
  static async start(api) {
    const app = new App();
    app.#api = api;
    app.#keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
    return app;
  }

  /** A proof for one request, and for the access token that goes with it (RFC 9449 §4.2). */
  async proof(method, path, accessToken) {
    const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", this.#keys.publicKey);
    const claims = { jti: crypto.randomUUID(), htm: method, htu: this.#api + path, iat: Math.floor(Date.now() / 1000), nonce: this.#nonce };
    if (accessToken) claims.ath = encode(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(accessToken)));
    const message = `${encodeJson({ typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } })}.${encodeJson(claims)}`;
    const algorithm = { name: "ECDSA", hash: "SHA-256" };
    return `${message}.${encode(await crypto.subtle.sign(algorithm, this.#keys.privateKey, new TextEncoder().encode(message)))}`;
  }

  async #send(method, path, headers, body, accessToken) {
    const send = async () => {
      const dpop = await this.proof(method, path, accessToken);
      const answer = await fetch(this.#api + path, { method, headers: { ...headers, dpop }, body });
      const isAsked = answer.status === 401 && answer.headers.has("dpop-nonce");
      this.#nonce = answer.headers.get("dpop-nonce") ?? this.#nonce;
      return { answer, isAsked };
    };
    // A server may want to see that a proof was not made ahead, and says what has to be in it (RFC 9449 §8).
    let { answer, isAsked } = await send();
    if (isAsked) ({ answer } = await send());
    const [access, refresh] = ["st-access-token", "st-refresh-token"].map((name) => answer.headers.get(name));
    if (access !== null) this.#tokens.access = access;
    if (refresh !== null) this.#tokens.refresh = refresh;
    return answer;
  }

  /** Signs in at a route of the application, which binds the session to the key. */
  signIn(path, body) {
    const headers = { "content-type": "application/json", "st-auth-mode": "header" };
    return this.#send("POST", path, headers, JSON.stringify(body));
  }

  /** Calls a protected route; refreshes first if the access token has expired. */
  async call(method, path) {
    const send = () => {
      const { access } = this.#tokens;
      const isBound = decodeJson(access.split(".")[1]).cnf?.jkt !== undefined;
      return this.#send(method, path, { authorization: `${isBound ? "DPoP" : "Bearer"} ${access}` }, undefined, access);
    };
    const answer = await send();
    if (answer.status !== 401) return answer;
    const refreshed = await this.#send("POST", "/auth/session/refresh", { authorization: `Bearer ${this.#tokens.refresh}` });
    return refreshed.ok ? send() : refreshed;
  }

  /** What a thief would copy. */
  get tokens() {
    return { ...this.#tokens };
  }
}
