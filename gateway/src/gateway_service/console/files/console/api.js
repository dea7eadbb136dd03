// The one client of the API. The access token is in this module's memory and nowhere else; the refresh token is in a
// cookie that no script can read.

import { h } from "./dom.js";

/** Why a request was refused, in the words of the API. */
export class Refusal extends Error {
  constructor(message, { status = 0, code = "", requestId = "", errors = [], problem = {}, language = null } = {}) {
    super(message);
    Object.assign(this, { status, code, requestId, errors, problem, language });
  }

  /** The message, which says its language. */
  get said() {
    return h("span", { lang: this.language }, this.message);
  }
}

/** Longer than the gateway waits for whatever it asks. */
const LONGEST_WAIT_MS = 70_000;

let accessToken = null;
let refreshing = null;
let onLost = () => {};
let onRenewed = () => {};
let proveAgain = null;

/** Call `handler` when a session turns out to be over. */
export function whenLost(handler) {
  onLost = handler;
}

/** Call `handler` when the access token was renewed in the middle of something: its roles may be others. */
export function whenRenewed(handler) {
  onRenewed = handler;
}

/** Have `handler` ask for a fresh proof where the API wants one; it returns whether there is one. */
export function whenProofIsWanted(handler) {
  proveAgain = handler;
}

/** Send the access token with each request from now on; null sends none. */
export function hold(token) {
  accessToken = token;
}

/** Send a request and return `{status, data, said, text, requestId}`, where `said` is the message.
    Throw a `Refusal` unless it succeeds. */
export async function call(method, path, body) {
  try {
    return await callOnce(method, path, body);
  } catch (error) {
    if (error.code !== "fresh_check_required") throw error;
    if (!(await proveAgain(error.said))) throw error;
    return callOnce(method, path, body);
  }
}

async function callOnce(method, path, body) {
  const token = accessToken;
  let response = await send(method, path, body, token);
  if (response.status === 401 && (token !== null || refreshing)) {
    // A request that was sent at the same time may have renewed the token meanwhile, or be about to.
    const isAnother = !refreshing && accessToken !== token;
    if (isAnother ? accessToken !== null : await renew()) {
      response = await send(method, path, body, accessToken);
      if (response.status !== 401) onRenewed();
    } else if (!isAnother) onLost();
  }
  return read(response);
}

/**
 * Get a new access token by the cookie; return whether there is one now. Until then the one before is kept.
 * Windows share the cookie, so they take turns.
 */
export function renew() {
  const turns = globalThis.navigator?.locks; // only where the origin is secure
  refreshing ??= (turns ? turns.request("gatehouse-refresh", refresh) : refresh()).finally(() => {
    refreshing = null;
  });
  return refreshing;
}

async function refresh() {
  const before = accessToken;
  const response = await send("POST", "/api/auth/refreshtoken", {}, null);
  if (!response.ok && response.status !== 403) await read(response); // only 403 says that the session is over
  const renewed = response.ok ? (await read(response)).data.accessToken : null;
  if (accessToken === before) hold(renewed); // else somebody signed in or out meanwhile
  return accessToken !== null;
}

async function send(method, path, body, token) {
  const headers = { Accept: "application/json, text/plain;q=0.9", Prefer: "refresh-token=cookie" };
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const signal = AbortSignal.timeout(LONGEST_WAIT_MS);
    return await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store", signal });
  } catch {
    throw unreachable();
  }
}

/** What to throw where nothing came back. */
export function unreachable() {
  return new Refusal("The gateway cannot be reached. Check your network, and whether the gateway is running.");
}

async function read(response) {
  const requestId = response.headers.get("X-Request-Id") ?? "";
  const language = response.headers.get("Content-Language"); // of texts, and of mails, as the browser prefers
  const isJson = /json/.test(response.headers.get("Content-Type") ?? "");
  let text, data;
  try {
    text = await response.text();
    data = isJson ? JSON.parse(text) : null;
  } catch {
    throw new Refusal("The response is incomplete. Please try again.", { status: response.status, requestId });
  }
  const said = data?.message && h("span", { lang: language }, data.message);
  if (response.ok) return { status: response.status, data, said, text, requestId };
  const message = data?.message ?? `The server responded with ${response.status} and gave no reason.`;
  throw new Refusal(message, {
    status: response.status,
    code: data?.code,
    requestId,
    errors: data?.errors ?? [],
    problem: data ?? {},
    language: data?.message && language,
  });
}
