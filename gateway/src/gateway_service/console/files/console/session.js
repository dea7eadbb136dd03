// Who is signed in. The browser keeps a note that somebody is, so that a visitor's first page asks for no session.

import { call, hold, renew, whenLost } from "./api.js";
import { offers } from "./offers.js";

const NOTE = "gatehouse-signed-in";

class Session extends EventTarget {
  user = null;

  hasRole(name) {
    return this.user !== null && (name === "user" || this.user.roles.includes(`ROLE_${name.toUpperCase()}`));
  }

  /** Whether the one who is here may open a page of `routes.js`. */
  mayOpen({ role, onlyVisitors, needs }) {
    if (needs) return offers[needs];
    if (onlyVisitors) return this.user === null;
    return !role || this.hasRole(role);
  }

  /** Take up the session of the cookie, if there is one. */
  async restore() {
    if (localStorage.getItem(NOTE)) {
      try {
        if (await renew()) await this.reload();
        else localStorage.removeItem(NOTE);
      } catch {
        // The gateway is away; the next page says so.
      }
    }
    this.changed();
  }

  /** Ask the API who this is: names and roles may have changed. */
  async reload() {
    const { data } = await call("GET", "/api/users/me");
    this.user = data.passwordChangeRequired ? { ...data, roles: [] } : data;
    this.changed();
  }

  /** Begin with what the API responded to a sign-in of any kind. */
  begin(signedIn) {
    hold(signedIn.accessToken);
    localStorage.setItem(NOTE, "yes");
    this.user = signedIn;
    this.changed();
  }

  async signOut() {
    const { data } = await call("POST", "/api/auth/signout", {});
    this.forget();
    return data.message;
  }

  /** Know nobody any more. */
  forget() {
    hold(null);
    localStorage.removeItem(NOTE);
    this.user = null;
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}

export const session = new Session();

whenLost(() => {
  session.forget();
  session.dispatchEvent(new Event("lost"));
});
