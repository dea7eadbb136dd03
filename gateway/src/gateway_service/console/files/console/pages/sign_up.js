// Make an account.

import { call } from "../api.js";
import { h } from "../dom.js";
import { emailField, field, form, passwordField } from "../forms.js";
import { go } from "../router.js";

export function render() {
  async function submit({ username, email, password }) {
    const { said } = await call("POST", "/api/auth/signup", { username, email, password });
    // The API says no more, lest it tell who has an account already.
    go("/sign-in", [said, " If a mail asks you to confirm your address, do that first."]);
  }
  return h(
    "div",
    { class: "narrow" },
    form(
      [
        field("username", "User name", { autocomplete: "username", required: true, autocapitalize: "none" }),
        emailField("E-mail address"),
        passwordField("password", "Password", {
          autocomplete: "new-password",
          hint: "A phrase of a few words is good. Common passwords are refused.",
        }),
      ],
      "Sign up",
      submit,
    ),
    h("p", {}, "Already have an account? ", h("a", { href: "#/sign-in" }, "Sign in")),
  );
}
