// The key of this browser, and proofs that it has it (RFC 9449). The private half cannot be read by anybody, this page
// included: the browser signs with it and does not give it out.

const encode = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/=/g, "").replace(/\+/g, "-").replace(/\//g, "_");
const encodeText = (text) => new TextEncoder().encode(text);
const encodeJson = (value) => encode(encodeText(JSON.stringify(value)));

const result = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** The key pair of this browser, made on the first visit. It is kept as it is, and so stays unreadable. */
export async function deviceKeys() {
  const open = indexedDB.open("device", 1);
  open.onupgradeneeded = () => open.result.createObjectStore("keys");
  const database = await result(open);
  const kept = await result(database.transaction("keys").objectStore("keys").get("own"));
  if (kept) return kept;
  const made = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  // Another tab may have been faster: the first one counts.
  const store = database.transaction("keys", "readwrite").objectStore("keys");
  const first = await result(store.get("own"));
  if (!first) await result(store.put(made, "own"));
  return first ?? made;
}

/** A proof for one request, and for the access token that goes with it. */
async function proof(keys, request, accessToken, nonce) {
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", keys.publicKey);
  const { origin, pathname } = new URL(request.url);
  const claims = { jti: crypto.randomUUID(), htm: request.method, htu: origin + pathname, iat: Math.floor(Date.now() / 1000), nonce };
  if (accessToken) claims.ath = encode(await crypto.subtle.digest("SHA-256", encodeText(accessToken)));
  const message = `${encodeJson({ typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } })}.${encodeJson(claims)}`;
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, keys.privateKey, encodeText(message));
  return `${message}.${encode(signature)}`;
}

/** Sends a request with a proof. Access tokens go by the scheme DPoP; a refresh token is for one path only, and stays a Bearer. */
export function fetchProved(keys, refreshPath, fetch) {
  let nonce;
  const send = async (request) => {
    const headers = new Headers(request.headers);
    const [scheme, token] = headers.get("authorization")?.split(" ") ?? [];
    const isAccess = scheme === "Bearer" && new URL(request.url).pathname !== refreshPath;
    if (isAccess) headers.set("authorization", `DPoP ${token}`);
    headers.set("dpop", await proof(keys, request, isAccess ? token : undefined, nonce));
    return fetch(new Request(request.clone(), { headers }));
  };
  return async (request) => {
    const answer = await send(request);
    const given = answer.headers.get("dpop-nonce");
    nonce = given ?? nonce;
    return answer.status === 401 && given ? send(request) : answer;
  };
}
