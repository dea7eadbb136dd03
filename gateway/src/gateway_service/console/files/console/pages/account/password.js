// A new password.

import { call } from "../../api.js";
import { h } from "../../dom.js";
import { form, ownerOf, passwordField } from "../../forms.js";
import { go } from "../../router.js";
import { session } from "../../session.js";

export function render() {
  async function submit({ currentPassword, newPassword }) {
    const { said } = await call("POST", "/api/users/me/password", { currentPassword, newPassword });
    await session.renew(); // a password that had to be changed kept its roles back
    go("/profile", [said, " Your other sessions have ended."]);
  }
  return h(
    "div",
    { class: "narrow" },
    h("p", {}, "Changing the password ends your other sessions."),
    form(
      [
        ownerOf(session.user.username),
        passwordField("currentPassword", "Current password", { autocomplete: "current-password" }),
        passwordField("newPassword", "New password", { autocomplete: "new-password" }),
      ],
      "Change the password",
      submit,
    ),
  );
}
