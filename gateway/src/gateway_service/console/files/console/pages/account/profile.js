// One's own name and address.

import { call } from "../../api.js";
import { facts, h, tag, time } from "../../dom.js";
import { field, form } from "../../forms.js";
import { go } from "../../router.js";
import { session } from "../../session.js";

export async function render() {
  const { data: user } = await call("GET", "/api/users/me");
  async function submit({ username, email }) {
    await call("PATCH", "/api/users/me", { username, email });
    await session.reload();
    go("/profile", "Your profile is changed.");
  }
  return h(
    "div",
    { class: "narrow" },
    facts([
      ["Roles", user.roles.map((role) => tag(role.replace("ROLE_", "").toLowerCase()))],
      ["Member since", time(user.createdAt)],
    ]),
    form(
      [
        field("username", "User name", { value: user.username, autocomplete: "username", required: true }),
        field("email", "E-mail address", { type: "email", value: user.email, autocomplete: "email", required: true }),
      ],
      "Save",
      submit,
      { name: "Profile" },
    ),
  );
}
