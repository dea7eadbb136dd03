// An authenticator app, and recovery codes for when it is lost.

import { call } from "../../api.js";
import { confirm } from "../../dialogs.js";
import { facts, h, tag } from "../../dom.js";
import { action, field, form } from "../../forms.js";
import { announce } from "../../notices.js";
import { qrCode } from "../../qr_code.js";
import { go } from "../../router.js";

const TOTP = "/api/users/me/totp";

/** Show recovery codes in place of a page, which is out of date by now. This is done once. */
export function showCodes(page, codes) {
  const text = "Each works once in place of a second factor. Keep them where you can find them without your phone: they are not shown again.";
  const heading = h("h2", { id: "codes", tabindex: "-1" }, "Recovery codes");
  page.replaceChildren(
    h(
      "section",
      { class: "card", "aria-labelledby": "codes" },
      heading,
      h("p", {}, text),
      h("pre", { class: "wrap", tabindex: "0" }, codes.join("\n")),
    ),
    h("p", {}, h("a", { href: location.hash }, "I have saved them")),
  );
  heading.focus();
}

export async function render() {
  const { data: factors } = await call("GET", "/api/users/me/factors");
  const page = h("div");
  const shown = h("div");
  async function begin() {
    const { data } = await call("POST", TOTP);
    async function submit({ code }) {
      const { data: confirmed } = await call("POST", `${TOTP}/confirm`, { code: code.trim() });
      showCodes(page, confirmed.recoveryCodes);
      announce("The authenticator app is set up.");
    }
    shown.replaceChildren(
      h("h2", { tabindex: "-1" }, "Set up an authenticator app"),
      h("p", {}, "Scan this code with the app, or ", h("a", { href: data.uri }, "open the app on this device"), "."),
      qrCode(data.qrCode, "QR code for the authenticator app; the secret below says the same"),
      h("p", {}, "Or type this secret:"),
      h("pre", { class: "wrap", tabindex: "0" }, data.secret),
      form(
        field("code", "Code that the app shows", { autocomplete: "one-time-code", inputmode: "numeric", required: true }),
        "Confirm",
        submit,
      ),
    );
    shown.querySelector("h2").focus();
  }
  async function remove() {
    if (!(await confirm("Remove the authenticator app?", "You will then sign in without its codes.", "Remove"))) return;
    const { said } = await call("DELETE", TOTP);
    go("/second-factor", said);
  }
  async function renew() {
    const { data } = await call("POST", "/api/users/me/recovery-codes");
    showCodes(page, data.recoveryCodes);
    announce("The old recovery codes no longer work.");
  }

  const has = factors.totp || factors.passkeys > 0;
  shown.append(
    h(
      "div",
      { class: "row" },
      factors.totp
        ? action("Remove the authenticator app", remove, { class: "danger" })
        : action("Set up an authenticator app", begin, { class: "main" }),
      has ? action("New recovery codes", renew) : "",
    ),
  );
  page.append(
    h("p", {}, "With a second factor, knowing your password is not enough to sign in."),
    facts([
      ["Authenticator app", factors.totp ? tag("Set up", "good") : tag("Not set up")],
      ["Passkeys", h("a", { href: "#/passkeys" }, String(factors.passkeys))],
      ["Recovery codes left", String(factors.recoveryCodesLeft)],
    ]),
    shown,
  );
  return page;
}
