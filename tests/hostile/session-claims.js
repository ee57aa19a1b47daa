// What a back end checks of a token by itself, after a library said that the signature and the dates hold.

/** Whether header and payload are those of an access token (frontend contract 5.3, 5.4). */
export function isAccessToken(header, payload, dynamicKeys) {
  const version = header.version === undefined ? 3 : versionOf(header.version);
  if (header.typ !== "JWT" || !(version >= 3)) return false;
  if (typeof header.kid !== "string" || header.kid.startsWith("d-") !== dynamicKeys) return false;
  if (payload.stt !== undefined && payload.stt !== 0) return false;
  const texts = ["sub", "sessionHandle", "refreshTokenHash1"];
  if (version >= 4) texts.push("tId");
  if (version >= 5) texts.push("rsub");
  return (
    texts.every((name) => typeof payload[name] === "string") &&
    ["exp", "iat"].every((name) => typeof payload[name] === "number")
  );
}

const versionOf = (text) => (typeof text === "string" && /^\+?[0-9]+$/.test(text) ? Number(text) : NaN);
