// A page's session with the gateway: the access token in memory, the refresh token in an
// HttpOnly cookie that no script reads.

const PREFER = { Prefer: "refresh-token=cookie" };

/** Longer than the gateway waits for whatever it asks. */
const LONGEST_WAIT_MS = 70_000;

/** What the gateway refused: `status`, the `problem`, and its `code` and `message`. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.message ?? `Status ${status}`);
    this.status = status;
    this.code = problem.code;
    this.problem = problem;
  }
}

export class Session {
  #gateway;
  #accessToken = "";
  #refreshing = null;

  /** `gateway` is its address, or nothing for pages of its own origin. */
  constructor(gateway = "") {
    this.#gateway = gateway;
  }

  get isSignedIn() {
    return this.#accessToken !== "";
  }

  async signIn(username, password) {
    const pair = await this.#post("/api/auth/signin", { username, password });
    this.#accessToken = pair.accessToken;
    return pair;
  }

  /** Gets an access token by the cookie, as after a reload; false if nobody is signed in. */
  async restore() {
    // One refresh at a time: a refresh token is spent by its use.
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  /** Fetches with the access token; refreshes and tries again if it has expired. */
  async fetch(path, options = {}) {
    const before = this.#accessToken;
    const response = await this.#send(path, options);
    if (response.status !== 401) return response;
    // A request that was sent at the same time may have refreshed meanwhile.
    const isAnother = !this.#refreshing && this.#accessToken !== before;
    if (!(isAnother ? this.isSignedIn : await this.restore())) return response;
    return this.#send(path, options);
  }

  async signOut() {
    await this.#post("/api/auth/signout", {});
    this.#accessToken = "";
  }

  async #refresh() {
    const before = this.#accessToken;
    let renewed = "";
    try {
      renewed = (await this.#post("/api/auth/refreshtoken", {})).accessToken;
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 403) throw error;
    }
    // Otherwise somebody signed in or out meanwhile.
    if (this.#accessToken === before) this.#accessToken = renewed;
    return this.isSignedIn;
  }

  #send(path, options) {
    const headers = new Headers(options.headers);
    if (this.isSignedIn) headers.set("Authorization", `Bearer ${this.#accessToken}`);
    return fetch(this.#gateway + path, { ...options, headers });
  }

  async #post(path, members) {
    const headers = { "Content-Type": "application/json", ...PREFER };
    if (this.isSignedIn) headers.Authorization = `Bearer ${this.#accessToken}`;
    const response = await fetch(this.#gateway + path, {
      method: "POST",
      credentials: "include",
      headers,
      body: JSON.stringify(members),
      signal: AbortSignal.timeout(LONGEST_WAIT_MS),
    });
    if (response.ok) return response.json();
    // A proxy in front of the gateway may refuse with a page.
    throw new Refused(response.status, await response.json().catch(() => ({})));
  }
}
