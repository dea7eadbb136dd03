// Make a user: by a mail that invites them, or with a password that they have to change.

import { call } from "../../api.js";
import { h } from "../../dom.js";
import { check, emailField, field, form } from "../../forms.js";
import { announce } from "../../notices.js";
import { address, go } from "../../router.js";

export function render() {
  const made = h("div");
  async function submit({ username, email }, element) {
    const invite = element.elements.namedItem("invite").checked;
    const { data } = await call("POST", "/api/users", { username, email, invite });
    if (invite) {
      go(address("/user", { id: data.id }).slice(1), `${data.username} has been invited by mail.`);
      return;
    }
    made.replaceChildren(
      h("h2", {}, "Temporary password"),
      h("p", {}, `${data.username} has to change it at the first sign-in. It is not shown again.`),
      h("pre", { class: "wrap", tabindex: "0" }, data.temporaryPassword),
    );
    announce(`${data.username} has been created.`);
  }
  return h(
    "div",
    { class: "narrow" },
    form(
      [
        field("username", "User name", { required: true, autocapitalize: "none" }),
        emailField("E-mail address", { autocomplete: "off" }),
        check("invite", "Invite by mail, with a link to choose a password"),
      ],
      "Create the user",
      submit,
    ),
    made,
  );
}
