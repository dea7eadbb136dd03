// Begin a session by a code that is mailed.

import { call } from "../api.js";
import { h } from "../dom.js";
import { emailField, field, form } from "../forms.js";
import { announce } from "../notices.js";
import { firstStep, startAgain } from "./sign_in.js";

const ASK = "/api/auth/signin/code";

export function render() {
  const page = h("div", { class: "narrow" });
  async function ask({ email }) {
    const { said } = await call("POST", ASK, { email });
    const code = field("code", "Code", { autocomplete: "one-time-code", inputmode: "numeric", required: true });
    const confirm = (values) => firstStep(page, `${ASK}/confirm`, { email, code: values.code.trim() });
    page.replaceChildren(form(code, "Sign in", confirm), startAgain());
    page.querySelector("input").focus();
    announce(said);
  }
  const email = emailField("E-mail address");
  page.append(form(email, "Send the code", ask));
  return page;
}
