// One's own name and address.

import { call } from "../../api.js";
import { facts, h, tag, time } from "../../dom.js";
import { action, emailField, field, form } from "../../forms.js";
import { announce } from "../../notices.js";
import { go } from "../../router.js";
import { session } from "../../session.js";

/** Change what the API lets people just set; an address may have to be confirmed by a mail to it. */
async function change({ username, email }) {
  try {
    await call("PATCH", "/api/users/me", { username, email });
    return "Your profile has been saved.";
  } catch (error) {
    if (error.code !== "email_unconfirmed") throw error;
    await call("PATCH", "/api/users/me", { username });
    return (await call("POST", "/api/users/me/email", { email })).said;
  }
}

export async function render() {
  const { data: user } = await call("GET", "/api/users/me");
  async function submit({ username, email }) {
    const said = await change({ username, email });
    await session.update();
    go("/profile", said);
  }
  async function resend() {
    announce((await call("POST", "/api/auth/email-verification/resend", { email: user.email })).said);
  }
  return h(
    "div",
    { class: "narrow" },
    facts([
      ["Roles", user.roles.map((role) => tag(role.replace("ROLE_", "").toLowerCase()))],
      ["Member since", time(user.createdAt)],
    ]),
    user.emailVerified === false &&
      h("div", { class: "row" }, tag("Address not confirmed", "wait"), action("Send the mail", resend)),
    form(
      [
        field("username", "User name", { value: user.username, autocomplete: "username", required: true }),
        emailField("E-mail address", { value: user.email }),
      ],
      "Save",
      submit,
      { name: "Profile" },
    ),
  );
}
