// What links in mails about addresses and second factors lead to. Each asks first: programs open links, too.

import { call } from "../api.js";
import { h } from "../dom.js";
import { action, emailField, form } from "../forms.js";
import { announce } from "../notices.js";
import { go, takeToken } from "../router.js";
import { pageAt } from "../routes.js";
import { session } from "../session.js";

/** What each is for: a path of the API, what it does, its button, and whether it ends all sessions. */
const LINKS = {
  "/email-verification": ["/api/auth/email-verification", "Confirm that this address is yours.", "Confirm"],
  "/email-change": ["/api/auth/email-change/confirm", "Confirm that the new address is yours.", "Confirm"],
  "/email-change-undo": [
    "/api/auth/email-change/undo",
    "Restore the old address. This ends all sessions, and another mail lets you choose a new password.",
    "Restore it",
    true,
  ],
  "/factor-change-undo": [
    "/api/auth/factor-change/undo",
    "Remove what was added by this change or since, and all recovery codes. This ends all sessions, and another mail lets you choose a new password.",
    "Undo the change",
    true,
  ],
};

/** Of a sign-up the mail can be had again. */
function resend() {
  async function submit({ email }) {
    announce((await call("POST", "/api/auth/email-verification/resend", { email })).said);
  }
  const email = emailField("E-mail address");
  return form(email, "Send the mail again", submit);
}

export function render() {
  const page = pageAt(location.hash).path;
  const [path, text, label, endsSessions] = LINKS[page];
  const token = takeToken();
  if (!token)
    return [
      h("p", {}, "This page needs the link from the mail. If you have reloaded it, please open the link again."),
      page === "/email-verification" && h("div", { class: "narrow" }, resend()),
    ];
  async function confirm() {
    const { said } = await call("POST", path, { token });
    if (endsSessions) session.forget();
    else if (session.user) await session.update();
    go(session.user ? "/profile" : "/sign-in", said);
  }
  return [h("p", {}, text), h("div", { class: "row" }, action(label, confirm, { class: "main" }))];
}
