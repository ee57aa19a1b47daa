// An OpenID Connect provider on this machine: signs everybody in as ada, and holds clients to state, nonce and PKCE.

import { createHash, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

export const CLIENT_ID = "app-1";

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const rsa = () => generateKeyPairSync("rsa", { modulusLength: 2048 });

/** `change` alters claims of the ID tokens from then on, and `isForged` signs them with another key. */
export async function startProvider() {
  // For 127.0.0.1, with its worthless key; whoever takes it for an authority reaches this provider.
  const certificate = fileURLToPath(new URL("provider.pem", import.meta.url));
  const pem = readFileSync(certificate);
  const [own, foreign] = [rsa(), rsa()];
  const codes = new Map();
  const provider = { certificate, change: {}, isForged: false };

  function idToken(nonce) {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: provider.issuer,
      aud: CLIENT_ID,
      token_use: "id",
      sub: "ada",
      email: "ada@example.com",
      "cognito:groups": ["staff"],
      auth_time: now - 20,
      iat: now,
      exp: now + 3600,
      nonce,
      ...provider.change,
    };
    const signed = `${base64url({ alg: "RS256", kid: "k-1" })}.${base64url(claims)}`;
    const { privateKey } = provider.isForged ? foreign : own;
    return `${signed}.${sign("RSA-SHA256", Buffer.from(signed), privateKey).toString("base64url")}`;
  }

  const routes = {
    "/.well-known/openid-configuration": () => ({
      issuer: provider.issuer,
      authorization_endpoint: `${provider.issuer}/authorize`,
      token_endpoint: `${provider.issuer}/token`,
      jwks_uri: `${provider.issuer}/jwks`,
      id_token_signing_alg_values_supported: ["RS256"],
    }),
    "/jwks": () => ({ keys: [{ ...own.publicKey.export({ format: "jwk" }), kid: "k-1", alg: "RS256", use: "sig" }] }),
    "/token": (form) => {
      const asked = codes.get(form.get("code"));
      codes.delete(form.get("code"));
      const challenge = createHash("sha256").update(form.get("code_verifier") ?? "").digest("base64url");
      const isSold =
        form.get("grant_type") === "authorization_code" &&
        form.get("client_id") === CLIENT_ID &&
        form.get("redirect_uri") === asked?.get("redirect_uri") &&
        challenge === asked?.get("code_challenge");
      if (!isSold) return null;
      return { access_token: "x", token_type: "Bearer", expires_in: 3600, id_token: idToken(asked.get("nonce")) };
    },
  };

  const server = createServer({ key: pem, cert: pem }, async (request, answer) => {
    const { pathname, searchParams } = new URL(request.url, provider.issuer);
    if (pathname === "/authorize") {
      const code = randomUUID();
      codes.set(code, searchParams);
      const back = new URL(searchParams.get("redirect_uri"));
      back.search = new URLSearchParams({ code, state: searchParams.get("state") });
      answer.writeHead(302, { location: back.href }).end();
      return;
    }
    const body = routes[pathname]?.(new URLSearchParams(await text(request)));
    answer.writeHead(body ? 200 : 400, { "content-type": "application/json" });
    answer.end(JSON.stringify(body ?? { error: "invalid_grant" }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  provider.issuer = `https://127.0.0.1:${server.address().port}`;
  provider.stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return provider;
}
