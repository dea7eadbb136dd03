// A forgotten password: first the address for a mail, then the new password with the token of its link.

import { call } from "../api.js";
import { h } from "../dom.js";
import { emailField, form, passwordField } from "../forms.js";
import { announce } from "../notices.js";
import { go, takeToken } from "../router.js";
import { session } from "../session.js";

function ask() {
  async function submit({ email }) {
    announce((await call("POST", "/api/auth/password-reset", { email })).said);
  }
  return form(
    emailField("E-mail address"),
    "Send the mail",
    submit,
  );
}

function choose(token) {
  async function submit({ password }) {
    const { said } = await call("POST", "/api/auth/password-reset/confirm", { token, password });
    session.forget(); // it may have been the account that is signed in here
    go("/sign-in", [said, " Please sign in with it."]);
  }
  return [
    h("p", {}, "Changing the password ends all sessions of the account."),
    form(passwordField("password", "New password", { autocomplete: "new-password" }), "Change the password", submit),
  ];
}

export function render() {
  const token = takeToken();
  return h("div", { class: "narrow" }, token ? choose(token) : ask());
}
