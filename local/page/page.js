// Three parties share this page: the device, whose fetch the SDK intercepts, and the thief and the
// phone, whose fetches the SDK never sees.

import { deviceKeys, fetchProved } from "./device.js";

const ASKED = new URLSearchParams(location.search);
const METHOD = ASKED.get("method") === "header" ? "header" : "cookie";
const IS_BOUND = METHOD === "header" && ASKED.has("bound"); // to a key of this browser
const REFRESH_PATH = "/auth/session/refresh";
const PHONE = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36";

const $ = (id) => document.getElementById(id);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const until = async (condition) => {
  while (!condition()) await pause(50);
};

// ---- what the browser knows ------------------------------------------------------------------

const decode = (frontToken) =>
  JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(frontToken), (c) => c.charCodeAt(0))));

const cookie = (name) =>
  document.cookie
    .split("; ")
    .find((pair) => pair.startsWith(`${name}=`))
    ?.slice(name.length + 1);

// Read from the cookie and not through the SDK: asking the SDK for the claims of an expired
// token refreshes it, and merely looking at the page must not do that.
const session = () => {
  const frontToken = cookie("sFrontToken");
  return frontToken ? decode(frontToken) : null;
};

const msToExpiry = () => (session()?.ate ?? 0) - Date.now();

// ---- what the page can tell about refresh tokens ---------------------------------------------

// Refresh tokens are out of reach for scripts in cookie mode, but every access token carries the
// fingerprint of the refresh token it was issued with. That is enough to follow their order.
const lineage = {
  handle: null,
  order: [], // as they were issued
  parent: null, // what was exchanged last
  givenUp: new Set(), // replaced because their answers seemed to be lost
  issuedAt: 0, // when the newest was issued
  answeredAt: 0, // when it was handed out last
  hasForgiven: false,

  record(payload, presented) {
    const issued = payload.refreshTokenHash1;
    const wasJustAnswered = left(this.answeredAt, settings.reuseWindowSeconds) > 0;
    const newest = this.order.at(-1);
    this.answeredAt = Date.now();
    if (payload.sessionHandle !== this.handle) {
      Object.assign(this, { handle: payload.sessionHandle, order: [issued], parent: null, issuedAt: 0, hasForgiven: false });
      this.givenUp.clear();
      return "first refresh token";
    }
    if (this.order.includes(issued)) return "same refresh token as before";
    if (this.givenUp.has(presented)) this.hasForgiven = true;
    // One that was handed out just before may be on its way to its owner.
    if (presented !== newest && !wasJustAnswered) this.givenUp.add(newest);
    this.order.push(issued);
    this.parent = presented;
    this.issuedAt = Date.now();
    return "new refresh token";
  },

  // Mirrors the server's rule from the outside, so the page can say what will happen next.
  standing(fingerprint) {
    const younger = this.order.slice(this.order.indexOf(fingerprint) + 1);
    const open = left(this.issuedAt, settings.reuseWindowSeconds);
    if (younger.length === 0) return { name: "newest" };
    if (younger.length > 3) return { name: "old" };
    if (open) return { name: "in-window", ms: open };
    if (fingerprint === this.parent) return { name: "late" };
    if (METHOD === "header" && !this.hasForgiven) return { name: "forgiven" };
    return { name: this.givenUp.has(fingerprint) ? "given-up" : "old" };
  },
};

const left = (since, seconds) => Math.max(0, since + seconds * 1000 - Date.now());

const STANDINGS = {
  newest: () => "the newest token. Using it gets the next one.",
  "in-window": (ms) => `a replaced token. For ${seconds(ms)} more it gets the newest one, like a second tab.`,
  late: () => "a token replaced long ago. Using it now gets a new one, and the other party's is given up.",
  forgiven: () => "a token that may have been stored late. Once a day, using it gets a new one, and all others are given up.",
  "given-up": () => "a token that was given up. Using it now proves the theft and ends the session.",
  old: () => "a token from far back. Using it now proves the theft and ends the session.",
};

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

let settings = { accessTokenTtlSeconds: 0, reuseWindowSeconds: 0 };
let copy = null; // the thief's refresh token and its fingerprint
let thiefGivenAwayBy = null; // whose refresh made the server notice
let refusal = null; // the claim that a route misses, as the SDK reports it
let attempt = null; // how to ask that route again
let notice = "";

// ---- network ---------------------------------------------------------------------------------

const network = window.fetch.bind(window);
// How the device sends; a key of its own makes that another way.
let send = network;

// The SDK keeps the fetch it finds at init and calls it for refreshes and retries as well, so
// this is the one place that sees every request.
const fetchAs = (who) => async (resource, init) => {
  const request = new Request(resource, init);
  const { pathname } = new URL(request.url);
  const line = `${request.method} ${pathname}`;
  const presented = who === "thief" ? copy?.fingerprint : session()?.up.refreshTokenHash1;

  let response;
  try {
    response = await (who === "device" ? send : network)(request);
  } catch (error) {
    log(who, line, { status: "lost", note: error.message });
    throw error;
  }

  let note;
  const frontToken = response.headers.get("front-token");
  if (who === "phone") {
    note = "a session of its own";
  } else if (frontToken && frontToken !== "remove") {
    const { up } = decode(frontToken);
    note = lineage.record(up, presented);
    if (who === "thief") copy = { token: response.headers.get("st-refresh-token"), fingerprint: up.refreshTokenHash1 };
  } else if (pathname === REFRESH_PATH && response.status === 401) {
    const { message } = await response.clone().json();
    if (message === "token theft detected") thiefGivenAwayBy = who;
    note = presented ? message : "no session: the SDK asks once, on the first visit";
  }
  log(who, line, { status: response.status, note });
  return response;
};

const fetchAsThief = fetchAs("thief");

async function call(path, init, where = "answer") {
  const response = await fetch(path, init);
  show(`${init?.method ?? "GET"} ${path} → ${response.status}`, await response.json(), where);
  return response;
}

const post = (body) => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

// ---- actions ---------------------------------------------------------------------------------

async function signIn() {
  if (!$("signin-form").reportValidity()) return;
  await call("/example/signin", post({ userId: $("user-id").value.trim() }));
}

async function burst() {
  const responses = await Promise.all(Array.from({ length: 10 }, () => fetch("/api/me")));
  show("10 × GET /api/me", responses.map(({ status }) => status).join(" "));
}

async function callAfterExpiry() {
  await until(() => msToExpiry() <= 0);
  await call("/api/me");
}

// The phone keeps its tokens to itself: without credentials nothing of this browser changes.
async function signInElsewhere() {
  const init = post({ userId: session().uid, agent: PHONE });
  await fetchAs("phone")("/example/signin", { ...init, credentials: "omit" });
  await listDevices();
}

async function signOutElsewhere() {
  await fetch("/auth/sessions", { method: "DELETE" });
  await listDevices();
}

async function signOutThere(handle) {
  await fetch(`/auth/sessions/${handle}`, { method: "DELETE" });
  await listDevices();
}

async function listDevices() {
  const response = await fetch("/auth/sessions");
  if (response.ok) showDevices((await response.json()).sessions);
}

// A route that refuses says so through the SDK's event; what it was asked is kept, to ask again.
async function demand(path, init) {
  refusal = null;
  attempt = () => demand(path, init);
  await call(path, init, "demand-answer");
}

async function meetDemand(path, init) {
  const { ok } = await call(path, init, "demand-answer");
  if (ok) await attempt();
}

const openReports = () => demand("/account/reports");
const transfer = () => demand("/account/transfers", { method: "POST" });
const becomeAdmin = () => meetDemand("/account/admin", { method: "POST" });

async function confirm() {
  if (!$("confirm-form").reportValidity()) return;
  await meetDemand("/account/confirm", post({ userId: $("confirm-id").value.trim() }));
}

// The endpoint stands for the disk of the device: it hands out the tokens that this browser would send,
// which in cookie mode no script could read.
async function stolenTokens() {
  const inReach = cookie("st-refresh-token");
  const headers = inReach ? { authorization: `Bearer ${inReach}` } : {};
  const response = await fetchAsThief(`${REFRESH_PATH}/copy`, { method: "POST", headers });
  if (!response.ok) return null;
  const { refreshToken, accessToken } = await response.json();
  return { refresh: refreshToken, access: accessToken ?? cookie("st-access-token") };
}

async function steal() {
  const stolen = await stolenTokens();
  if (stolen) copy = { token: stolen.refresh, fingerprint: session().up.refreshTokenHash1 };
}

const asThief = (token) => ({ credentials: "omit", headers: { authorization: `Bearer ${token}`, "st-auth-mode": "header" } });

// Everything is copied to another machine and used there: to read what the user reads, and to stay signed in.
async function stealEverything() {
  const stolen = await stolenTokens();
  if (!stolen) return;
  copy = { token: stolen.refresh, fingerprint: session().up.refreshTokenHash1 };
  const reads = await fetchAsThief("/api/me", asThief(stolen.access));
  const stays = await fetchAsThief(REFRESH_PATH, { ...asThief(stolen.refresh), method: "POST" });
  const owner = await fetch("/api/me");
  verdict("thief-reads", reads.ok, "Reads the account as if it were the owner.", "Refused: it cannot read the account.");
  verdict("thief-stays", stays.ok, "Stays signed in for as long as nobody notices.", "Refused: it cannot stay signed in.");
  verdict("owner-goes-on", !owner.ok, "Signed out.", "Notices nothing, and works on.");
  setText("loot-meaning", reads.ok || stays.ok ? MEANINGS.taken : MEANINGS.worthless);
  $("loot").hidden = false;
}

const MEANINGS = {
  taken: "Whoever has the tokens is the user. Sesam notices when both go on using them, and ends the session: see below.",
  worthless: "The tokens are worthless without the key, and the key cannot be copied: it was made in this browser and never leaves it.",
};

function verdict(id, isBad, bad, good) {
  $(id).dataset.bad = isBad;
  setText(id, isBad ? bad : good);
}

const stands = (fingerprint, standing) => lineage.standing(fingerprint).name === standing;
const copyIs = (standing) => copy && stands(copy.fingerprint, standing);
const deviceIs = (standing) => session() && stands(session().up.refreshTokenHash1, standing);

async function useCopy() {
  const response = await fetchAsThief(REFRESH_PATH, {
    method: "POST",
    credentials: "omit",
    headers: { authorization: `Bearer ${copy.token}`, "st-auth-mode": "header" },
  });
  // The session is over for both, but a device only learns that from its next refresh.
  if (response.status === 401) await refresh();
}

const refresh = () => supertokens.attemptRefreshingSession();

async function playTheft() {
  await steal();
  // Shortly after a rotation the server answers with the same token, so once may not do.
  while (copyIs("newest")) {
    await refresh();
    await pause(1000);
  }
  await until(() => !copy || copyIs("late"));
  if (!copy) return;
  await useCopy();
  await until(() => !deviceIs("in-window"));
  await refresh();
  // The page's thief has the browser's name, so in header mode the device is taken for late, once.
  await until(() => !copyIs("in-window"));
  if (copy) await useCopy();
}

// ---- rendering -------------------------------------------------------------------------------

const setText = (id, text) => {
  if ($(id).textContent !== text) $(id).textContent = text;
};

function show(title, body, where = "answer") {
  setText(where, `${title}\n${typeof body === "string" ? body : JSON.stringify(body, null, 2)}`);
  $(where).hidden = false;
}

const element = (tag, textContent, className = "") =>
  Object.assign(document.createElement(tag), { textContent, className });

function badge(who, text = who) {
  const badge = element("span", text, "who");
  badge.dataset.who = who;
  return badge;
}

// Enough for a list of devices; the whole text is a pointer's rest away. Agents name their ancestors as
// well, so the order counts.
const BROWSERS = { Edg: "Edge", Firefox: "Firefox", Chrome: "Chrome", Safari: "Safari", curl: "curl" };
const SYSTEMS = { Android: "Android", iPhone: "iPhone", Windows: "Windows", "Mac OS": "macOS", Linux: "Linux" };

const agentName = (agent) => {
  const named = (names) => Object.entries(names).find(([mark]) => agent?.includes(mark))?.[1];
  return [named(BROWSERS) ?? "Unknown client", named(SYSTEMS)].filter(Boolean).join(" on ");
};

const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");

function showDevices(devices) {
  $("devices").replaceChildren(
    ...devices.map(({ sessionHandle, current, lastUsedBy: { agent }, deviceBound, lastRefreshedAt, timeCreated }) => {
      const item = element("li", "");
      item.title = agent ?? "";
      item.append(element("strong", agentName(agent)));
      if (current) {
        item.append(badge("device", "this device"));
      } else {
        const button = element("button", "Sign out");
        button.addEventListener("click", () => signOutThere(sessionHandle));
        item.append(button);
      }
      item.append(element("small", `last refreshed ${clock(lastRefreshedAt)}, signed in ${clock(timeCreated)}${deviceBound ? ", bound to the device" : ""}`));
      return item;
    }),
  );
}

// As the claim classes of the SDK put their reasons.
const because = ({ id, reason }) => {
  if (reason.message === "expired") return `the sign-in is more than ${reason.maxAgeInSeconds}\u00a0s old`;
  return `${id}: ${reason.message}, ${JSON.stringify(reason.expectedToInclude)} is expected`;
};

function log(who, what, { status, note } = {}) {
  const entry = element("li", "");
  entry.append(element("time", clock(Date.now())), badge(who), element("span", what));
  if (status) entry.append(element("span", status, `status ${status < 400 ? "good" : "bad"}`));
  if (note) entry.append(element("small", note));
  $("log").prepend(entry);
  $("log-empty").hidden = true;
}

function render() {
  const current = session();
  setText("notice", current ? "" : notice);
  $("notice").hidden = Boolean(current) || !notice;
  $("session").hidden = !current;
  $("signin-form").hidden = Boolean(current);
  const ids = ["play", "steal", "device-refresh", "call-after-expiry", "steal-everything"];
  for (const id of ids) $(id).disabled = !current;
  // Its story is about a copy that works.
  $("theft-card").hidden = Boolean(current?.up.cnf);
  $("use-copy").disabled = !copy;
  $("holders").hidden = !current;
  for (const id of ["reports", "transfer"]) $(id).disabled = !current;
  $("devices-card").hidden = !current;
  $("refused-role").hidden = refusal?.id !== "st-role";
  $("confirm-form").hidden = refusal?.id !== "auth_time";
  if (!current) return;

  const left = msToExpiry();
  setText("user", current.uid);
  setText("handle", current.up.sessionHandle);
  setText("claims", JSON.stringify(current.up, null, 2));
  setText("countdown", left > 0 ? `expires in ${seconds(left)}` : "expired: the next call refreshes it");
  $("countdown").dataset.expired = left <= 0;
  $("lifetime").value = Math.max(0, left / 1000 / (current.up.exp - current.up.iat));

  // A reload starts a new page in the middle of a session; another tab may have refreshed it.
  const fingerprint = current.up.refreshTokenHash1;
  if (!lineage.order.includes(fingerprint)) lineage.record(current.up, lineage.order.at(-1));
  holds("device-holds", fingerprint);
  holds("thief-holds", copy?.fingerprint);
}

function holds(id, fingerprint) {
  const { name, ms } = fingerprint ? lineage.standing(fingerprint) : {};
  $(id).dataset.standing = name ?? "none";
  setText(id, name ? `holds ${STANDINGS[name](ms)}` : "holds nothing yet.");
}

const ENDINGS = {
  device:
    "Signed out: theft detected. The device used a refresh token that had been given up, so two parties " +
    "held tokens of this session. It ended for both.",
  thief:
    "Signed out: theft detected. Someone used a refresh token from far back, so two parties " +
    "held tokens of this session. It ended for both.",
};

function onEvent({ action, sessionExpiredOrRevoked, claimValidationErrors }) {
  if (action === "API_INVALID_CLAIM") {
    [refusal] = claimValidationErrors;
    const reason = because(refusal);
    log("sdk", action, { note: reason });
    for (const place of document.querySelectorAll(".reason")) place.textContent = `${reason}.`;
    return;
  }
  log("sdk", action);
  if (action === "SIGN_OUT") notice = "Signed out.";
  else if (action === "UNAUTHORISED" && sessionExpiredOrRevoked)
    notice = ENDINGS[thiefGivenAwayBy] ?? "Signed out: the session has expired or was ended elsewhere.";
  else if (action !== "SESSION_CREATED") return;
  copy = thiefGivenAwayBy = refusal = null;
  for (const id of ["answer", "demand-answer", "loot"]) $(id).hidden = true;
  render();
  if (action === "SESSION_CREATED") listDevices();
}

const BINDINGS = {
  bound: "This sign-in is bound to this browser by a key that cannot be copied.",
  unbound: "This sign-in is not bound to anything: its tokens are all it takes. Compare “headers, with a key”, above.",
  off: "No sign-in is bound to its device here: start with --set DEVICE_BINDING=require to see what that changes.",
};

// ---- start -----------------------------------------------------------------------------------

function on(id, action) {
  const button = $(id);
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    // Not the disabled attribute: that would take the keyboard focus away.
    if (button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    try {
      await action();
    } catch (error) {
      log("sdk", "error", { note: error.message });
    } finally {
      button.ariaBusy = "false";
      render();
    }
  });
}

async function start() {
  if (IS_BOUND) send = fetchProved(await deviceKeys(), REFRESH_PATH, network);
  window.fetch = fetchAs("device");
  supertokens.init({
    apiDomain: location.origin,
    apiBasePath: "/auth",
    tokenTransferMethod: METHOD,
    onHandleEvent: onEvent,
  });

  on("sign-in", signIn);
  on("sign-out", () => supertokens.signOut());
  on("refresh", refresh);
  on("call-me", () => call("/api/me"));
  on("like", () => call("/api/like", { method: "POST" }));
  on("call-public", () => call("/api/public"));
  on("burst", burst);
  on("sign-in-elsewhere", signInElsewhere);
  on("sign-out-elsewhere", signOutElsewhere);
  on("reports", openReports);
  on("transfer", transfer);
  on("become-admin", becomeAdmin);
  on("confirm", confirm);
  on("call-after-expiry", callAfterExpiry);
  on("play", playTheft);
  on("steal", steal);
  on("use-copy", useCopy);
  on("device-refresh", refresh);
  on("steal-everything", stealEverything);
  on("clear-log", () => $("log").replaceChildren());

  $("app").hidden = false;
  settings = await (await network("/example/settings")).json();
  const hint = "Start with --access-token-ttl 10 --refresh-flight 2 to see expiry and theft within seconds.";
  setText("fresh", `${settings.stepUpSeconds} s`);
  setText("binding", BINDINGS[!settings.isBindingRequired ? "off" : IS_BOUND ? "bound" : "unbound"]);
  const ttl = settings.accessTokenTtlSeconds;
  setText("timings", `Access tokens live ${ttl} s here. ${ttl > 60 ? hint : ""}`);
  setText("window-hint", `For ${settings.reuseWindowSeconds} s after a token is replaced, the old one gets the same ` +
    "successor: a second tab or a lost answer never signs anyone out. The story waits for this window to close.");

  // A first visit cannot tell whether HttpOnly cookies exist, so the SDK asks the server once.
  if (!session()) await supertokens.doesSessionExist();
  render();
  setInterval(render, 100);
  if (session()) await listDevices();
}

$(`${IS_BOUND ? "bound" : METHOD}-method`).setAttribute("aria-current", "page");
if (window.supertokens) {
  await start();
} else {
  $("no-bundle").hidden = false;
  setText("curl", [
    `curl -i ${location.origin}/example/signin -H 'content-type: application/json' -d '{"userId":"ada"}'`,
    `curl -i ${location.origin}/api/me -H "authorization: Bearer $ACCESS_TOKEN"`,
    `curl -i -X POST ${location.origin}${REFRESH_PATH} -H "authorization: Bearer $REFRESH_TOKEN"`,
  ].join("\n\n"));
}
