// Who is signed in. The browser keeps a note of their number, so that a visitor's first page asks for no session, and
// so that all windows of the browser, which share one cookie, know of one user.

import { call, hold, renew, whenLost, whenRenewed } from "./api.js";
import { offers } from "./offers.js";

const NOTE = "gatehouse-signed-in";

/** What the bar and the menu show of a user. */
const shown = (user) => user && `${user.username} ${user.roles}`;

class Session extends EventTarget {
  user = null;
  isKnown = false; // whether it is known who is here

  hasRole(name) {
    return this.user !== null && (name === "user" || this.user.roles.includes(`ROLE_${name.toUpperCase()}`));
  }

  /** Whether the one who is here may open a page of `routes.js`. */
  mayOpen({ role, onlyVisitors, needs }) {
    if (needs) return offers[needs];
    if (onlyVisitors) return this.user === null;
    return !role || this.hasRole(role);
  }

  /** Whether another window of this browser has signed in somebody else, or signed out. */
  get isAnothers() {
    return localStorage.getItem(NOTE) !== (this.user === null ? null : String(this.user.id));
  }

  /** Take up the session of the cookie, if there is one; throw a `Refusal` where nobody can be asked. */
  async restore() {
    try {
      if (localStorage.getItem(NOTE)) {
        if (await renew()) await this.reload();
        else localStorage.removeItem(NOTE);
      }
      this.isKnown = true;
    } finally {
      this.changed();
    }
  }

  /** Ask the API who this is: names and roles may have changed. */
  async reload() {
    const asked = this.user?.id;
    const { data } = await call("GET", "/api/users/me");
    if (this.user?.id !== asked) return; // somebody signed in or out meanwhile
    const before = shown(this.user);
    this.user = data.passwordChangeRequired ? { ...data, roles: [] } : data;
    localStorage.setItem(NOTE, String(data.id));
    if (shown(this.user) !== before) this.changed(); // what is drawn anew loses the focus
  }

  /** Ask again after something was done, which is done all the same if nobody can be asked now. */
  async update() {
    await this.reload().catch(() => {});
  }

  /** Take a new access token, whose roles may be others, and ask again, if that can be done now. */
  async renew() {
    if (await renew().catch(() => false)) await this.update();
  }

  /** Begin with what the API responded to a sign-in of any kind. */
  begin(signedIn) {
    hold(signedIn.accessToken);
    localStorage.setItem(NOTE, String(signedIn.id));
    this.user = signedIn;
    this.isKnown = true;
    this.changed();
  }

  async signOut() {
    const { said } = await call("POST", "/api/auth/signout", {});
    this.forget();
    return said;
  }

  /** Know nobody any more. */
  forget() {
    hold(null);
    localStorage.removeItem(NOTE);
    this.user = null;
    this.changed();
  }

  /** Follow another window: know whom it has signed in, or nobody. */
  async follow() {
    if (!this.isAnothers) return;
    const { user } = this;
    hold(null);
    this.user = null;
    this.isKnown = false;
    await this.restore().catch(() => {}); // the next page says why
    if (this.user || !this.isKnown) this.dispatchEvent(new Event("followed"));
    else this.lose(user);
  }

  /** Say that the session of this user is over. */
  lose(user) {
    this.dispatchEvent(new CustomEvent("lost", { detail: user }));
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}

export const session = new Session();

addEventListener("storage", ({ key }) => {
  if (key === NOTE || key === null) session.follow();
});
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) session.follow(); // a page that the browser kept heard nothing meanwhile
});

whenRenewed(() => session.update());
whenLost(() => {
  const { user } = session;
  session.forget();
  session.lose(user);
});
