// Verifies Gatehouse's access tokens: signature, claims and status list. Needs `jose`.
import { inflateSync } from "node:zlib";
import { createRemoteJWKSet, jwtVerify } from "jose";

const LISTS = "/api/auth/statuslists/";
const MOST_LISTS = 256;
const LONGEST_LIST = 16 * 1024 * 1024; // bytes, unpacked
const LONGEST_TOKEN = 8192; // characters
const TTL = 60; // seconds, of a list without a ttl
const SHORTEST_TTL = 1;
const LONGEST_TTL = 3600;
const MOST_COOKIES = 8; // of one name: each may cost a signature's verification
const ENTRY_BITS = [1, 2, 4, 8];
const TOKEN_HEADERS = ["authorization", "x-access-token"];
const FETCH_MILLISECONDS = 5000;
const NEWER_LIST_MILLISECONDS = 300; // that requests wait for one while the old one is good
const CLOCK_SKEW = 30; // seconds
const SAFE_METHODS = ["GET", "HEAD", "OPTIONS"];
const OWN_SITES = ["same-origin", "same-site"];
const OF_THE_TOKEN = /^ERR_(JWT_|JWS_|JWKS_NO_MATCHING_KEY|JOSE_ALG|JOSE_NOT_SUPPORTED)/;

/** A refused request: `status` 400, 401, 403 or 503, and the headers of the response. */
export class Refusal extends Error {
  constructor(status, message, headers, cause) {
    super(message, { cause });
    this.status = status;
    this.headers = headers;
  }
}

const missing = () => new Refusal(401, "No token.", { "WWW-Authenticate": "Bearer" });
const malformed = (why) =>
  new Refusal(400, why, { "WWW-Authenticate": 'Bearer error="invalid_request"' });
const invalid = (why, cause) =>
  new Refusal(401, why, { "WWW-Authenticate": 'Bearer error="invalid_token"' }, cause);
const foreign = () => new Refusal(403, "Cookies are for pages of this site.", {});
const unavailable = (cause) =>
  new Refusal(503, "Tokens cannot be verified now.", { "Retry-After": "5" }, cause);

/**
 * Returns the token in x-access-token or Authorization, else those in cookies of that
 * name, of which one should do: applications on other ports of a host share its cookies.
 * Throws a Refusal. Browsers send cookies for any page: for unsafe methods the page has
 * to be ours.
 */
export function readTokens({ method, headers, headersDistinct }, { cookie, ownOrigins }) {
  if (TOKEN_HEADERS.some((name) => headersDistinct[name]?.length > 1)) {
    throw malformed("A header is repeated.");
  }
  const own = headers["x-access-token"] ?? "";
  const authorization = headers.authorization ?? "";
  const inHeader = /^bearer(?: ([\w.~+/-]+=*))?$/i.exec(authorization);
  if (/^bearer/i.test(authorization) && !inHeader) throw malformed("Not a bearer token.");
  const bearer = inHeader?.[1] ?? "";
  if (own && bearer && own !== bearer) throw malformed("More than one token.");
  if (own || bearer) return [own || bearer];
  const pairs = (headers.cookie ?? "").split(";").map((pair) => pair.trim());
  const values = pairs
    .filter((pair) => pair.startsWith(`${cookie}=`))
    .map((pair) => pair.slice(cookie.length + 1))
    .filter((value) => value);
  if (!values.length) throw missing();
  const isOurs =
    OWN_SITES.includes(headers["sec-fetch-site"]) || ownOrigins.includes(headers.origin);
  if (!SAFE_METHODS.includes(method) && !isOurs) throw foreign();
  return [...new Set(values)].slice(0, MOST_COOKIES);
}

/** Resolves to the claims of the first token that is good, else rejects. */
async function verifyFirst(verify, tokens) {
  let refusal;
  for (const token of tokens) {
    try {
      return await verify(token);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (!refusal || error.status === 503) refusal = error;
    }
  }
  throw refusal;
}

/**
 * Returns a function that resolves to a token's claims, or rejects with a Refusal.
 * `identity` is where the issuer is reached from here, if not by its own name.
 */
export function createVerifier({ issuer, identity = issuer, audience = "content" }) {
  const jwks = createRemoteJWKSet(new URL(`${identity}/.well-known/jwks.json`), {
    timeoutDuration: FETCH_MILLISECONDS,
  });
  const lists = new Map(); // by uri: { bits, bytes, issued, fresh, expires }, in seconds
  const fetching = new Map(); // by uri: { list, late }, promises

  function keys(header, jws) {
    if (typeof header.kid !== "string" || !header.kid) throw invalid("No kid.");
    return jwks(header, jws);
  }

  async function checked(token, options) {
    try {
      const checks = { algorithms: ["RS256"], clockTolerance: CLOCK_SKEW, ...options };
      return (await jwtVerify(token, keys, checks)).payload;
    } catch (error) {
      if (error instanceof Refusal) throw error;
      if (OF_THE_TOKEN.test(error.code ?? "")) throw invalid("Not a valid token.", error);
      throw unavailable(error);
    }
  }

  async function fetchList(uri) {
    const url = identity + LISTS + uri.slice((issuer + LISTS).length);
    const response = await fetch(url, {
      headers: { Accept: "application/statuslist+jwt" },
      redirect: "error",
      signal: AbortSignal.timeout(FETCH_MILLISECONDS),
    });
    if (!response.ok) throw new Error(`status list: ${response.status}`);
    const signed = (await response.text()).trim();
    const claims = await checked(signed, {
      subject: uri,
      typ: "statuslist+jwt",
      requiredClaims: ["exp", "iat"],
      clockTolerance: 0,
    });
    const { bits, lst } = claims.status_list;
    if (!ENTRY_BITS.includes(bits)) throw new Error("status list: bits");
    const packed = Buffer.from(lst, "base64url");
    const bytes = inflateSync(packed, { maxOutputLength: LONGEST_LIST });
    const now = Date.now() / 1000;
    const { iat: issued, exp: expires, ttl = TTL } = claims;
    if (typeof ttl !== "number") throw new Error("status list: ttl");
    const fresh = now + Math.min(Math.max(ttl, SHORTEST_TTL), LONGEST_TTL);
    const before = lists.get(uri);
    if (before && now < before.expires && issued < before.issued) {
      // A server that lags behind must not make revoked tokens valid again.
      before.fresh = fresh;
      return before;
    }
    if (!before && lists.size >= MOST_LISTS) lists.delete(lists.keys().next().value);
    const list = { bits, bytes, issued, fresh, expires };
    lists.set(uri, list);
    return list;
  }

  /** Returns a list as of now; an older one is good until it expires. */
  async function listAt(uri) {
    const kept = lists.get(uri);
    const now = Date.now() / 1000;
    if (kept && now < Math.min(kept.fresh, kept.expires)) return kept;
    if (!fetching.has(uri)) {
      const list = fetchList(uri).finally(() => fetching.delete(uri));
      const late = new Promise((resolve) => setTimeout(resolve, NEWER_LIST_MILLISECONDS));
      fetching.set(uri, { list, late });
      list.catch(() => {}); // those who wait for it get the error
    }
    const { list, late } = fetching.get(uri);
    const isGood = kept && now < kept.expires;
    try {
      return await (isGood ? Promise.race([list, late.then(() => kept)]) : list);
    } catch (error) {
      if (isGood) return kept;
      throw unavailable(error);
    }
  }

  return async function verify(token) {
    if (token.length > LONGEST_TOKEN) throw invalid("Too long.");
    const claims = await checked(token, {
      issuer,
      audience,
      typ: "at+jwt",
      requiredClaims: ["exp", "iat", "jti", "sub", "client_id"],
    });
    const names = [claims.jti, claims.sub, claims.client_id];
    if (!names.every((name) => name && typeof name === "string")) throw invalid("No names.");
    if (claims.iat > Date.now() / 1000 + CLOCK_SKEW) throw invalid("From the future.");
    const { roles } = claims;
    if (!Array.isArray(roles) || !roles.every((role) => typeof role === "string")) {
      throw invalid("No roles.");
    }
    const { idx, uri } = claims.status?.status_list ?? {};
    if (!Number.isSafeInteger(idx) || idx < 0 || typeof uri !== "string") {
      throw invalid("No status.");
    }
    const rest = uri.startsWith(issuer + LISTS) ? uri.slice((issuer + LISTS).length) : "";
    if (!/^[\w-]+$/.test(rest)) throw invalid("A status list of somebody else.");
    const { bits, bytes } = await listAt(uri);
    const at = idx * bits;
    if (at >= bytes.length * 8) throw invalid("No entry in the status list.");
    const entry = (bytes[at >> 3] >> at % 8) & ((1 << bits) - 1);
    if (entry !== 0) throw invalid("Revoked.");
    return claims;
  };
}

/**
 * Express: puts the claims into `request.claims`, or responds with the refusal.
 * `ownOrigins` are those whose pages may send the cookie with unsafe methods, besides
 * those of this site.
 */
export function protect({ cookie = "__Secure-access_token", ownOrigins, ...options }) {
  const verify = createVerifier(options);
  const carrier = { cookie, ownOrigins: ownOrigins ?? [new URL(options.issuer).origin] };
  return async (request, response, next) => {
    try {
      request.claims = await verifyFirst(verify, readTokens(request, carrier));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      response.status(error.status).set(error.headers).json({ message: error.message });
      return;
    }
    next();
  };
}
