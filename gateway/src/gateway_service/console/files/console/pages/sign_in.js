// Begin a session: by a password, by a passkey, and by a second factor where the account has one.

import { call } from "../api.js";
import { h } from "../dom.js";
import { action, field, form, passwordField } from "../forms.js";
import { announce } from "../notices.js";
import { canUsePasskeys, offerPasskeys, signInByPasskey, usePasskey } from "../passkeys.js";
import { go } from "../router.js";
import { pageAt } from "../routes.js";
import { session } from "../session.js";

/** Begin the session that the API describes, and go where the visitor wanted to go. */
export function begin(signedIn) {
  session.begin(signedIn);
  const greeting = `You are signed in as ${signedIn.username}.`;
  if (signedIn.passwordChangeRequired) go("/password", `${greeting} Please choose a password of your own first.`);
  else if (signedIn.secondFactorEnrolmentRequired) go("/second-factor", `${greeting} Your roles require a second factor.`);
  else {
    const wanted = sessionStorage.getItem("wanted")?.slice(1) ?? "/";
    sessionStorage.removeItem("wanted");
    go(session.mayOpen(pageAt(`#${wanted}`)) ? wanted : "/", greeting);
  }
}

/** A link back to the first step of the page that is open. */
export const startAgain = () => h("p", {}, h("a", { href: location.hash }, "Start again"));

/** The second step: a code, or a passkey. */
function secondStep({ challenge, factors }) {
  const complete = async (proof) =>
    begin((await call("POST", "/api/auth/signin/second-factor", { challenge, ...proof })).data);
  const byPasskey = action("Use a passkey", async () => complete({ credential: await usePasskey() }));
  return [
    h("h2", {}, "Second step"),
    form(
      field("code", "Code", {
        hint: "From your authenticator app, or one of your recovery codes.",
        autocomplete: "one-time-code",
        required: true,
        autofocus: true,
      }),
      "Confirm",
      ({ code }) => complete({ code: code.trim() }),
    ),
    factors.includes("passkey") && canUsePasskeys() && h("div", { class: "row" }, byPasskey),
    startAgain(),
  ];
}

/** Take the first step of a sign-in, and show the second one in place of `page` if there has to be one. */
export async function firstStep(page, path, body) {
  try {
    begin((await call("POST", path, body)).data);
  } catch (error) {
    if (error.code !== "second_factor_required") throw error;
    page.replaceChildren(h("div", {}, secondStep(error.problem)));
    page.querySelector("input").focus();
    announce(error.said, "wait");
  }
}

export function render(leaving) {
  const page = h("div", { class: "narrow" });
  const submit = ({ username, password }) => firstStep(page, "/api/auth/signin", { username, password });
  page.append(
    form(
      [
        field("username", "User name", { autocomplete: "username webauthn", required: true, autocapitalize: "none" }),
        passwordField("password", "Password", { autocomplete: "current-password" }),
      ],
      "Sign in",
      submit,
    ),
  );
  if (canUsePasskeys()) {
    const byPasskey = action("Sign in with a passkey", async () => begin(await signInByPasskey()));
    page.append(h("div", { class: "row" }, byPasskey));
    offerPasskeys(leaving, begin);
  }
  page.append(
    h("p", {}, h("a", { href: "#/sign-in-code" }, "Sign in with a mailed code")),
    h("p", {}, h("a", { href: "#/password-reset" }, "Forgot your password?")),
    h("p", {}, "No account yet? ", h("a", { href: "#/sign-up" }, "Sign up")),
  );
  return page;
}
