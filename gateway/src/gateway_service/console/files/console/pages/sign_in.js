// Begin a session.

import { h } from "../dom.js";
import { field, form, passwordField } from "../forms.js";
import { go } from "../router.js";
import { session } from "../session.js";

/** Go where the visitor wanted to go, with a word on what happened. */
export function welcome() {
  const { user } = session;
  if (user.passwordChangeRequired) {
    go("/password", "You are signed in. Please choose a password of your own first.");
    return;
  }
  const wanted = sessionStorage.getItem("wanted")?.slice(1) ?? "/";
  sessionStorage.removeItem("wanted");
  go(wanted, `You are signed in as ${user.username}.`);
}

export function render() {
  async function submit({ username, password }) {
    await session.signIn(username, password);
    welcome();
  }
  return h(
    "div",
    { class: "narrow" },
    form(
      [
        field("username", "User name", { autocomplete: "username", required: true, autocapitalize: "none" }),
        passwordField("password", "Password", { autocomplete: "current-password" }),
      ],
      "Sign in",
      submit,
    ),
    h("p", {}, "There is no account yet? ", h("a", { href: "#/sign-up" }, "Sign up")),
  );
}
