// Dialogs: a question before what cannot be undone, and a proof of who one is before what matters.

import { call, whenProofIsWanted } from "./api.js";
import { button, h } from "./dom.js";
import { action, field, form, ownerOf, passwordField } from "./forms.js";
import { canUsePasskeys, usePasskey } from "./passkeys.js";
import { session } from "./session.js";

/** Show a dialog until it is closed; return whether it was closed with `done`. */
function show(title, text, fill) {
  const dialog = h("dialog", { "aria-labelledby": "dialog-title", "aria-describedby": "dialog-text" });
  const close = (value) => dialog.close(value);
  dialog.append(
    h("h2", { id: "dialog-title" }, title),
    h("p", { id: "dialog-text" }, text),
    ...fill(() => close("done"), () => close("")).filter(Boolean),
  );
  const notices = document.querySelector(".notices");
  dialog.append(notices); // whatever is outside of a dialog is neither seen nor read out
  document.body.append(dialog);
  dialog.showModal();
  const leave = () => close("");
  addEventListener("hashchange", leave); // it asks about the page that it was opened on
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      removeEventListener("hashchange", leave);
      document.body.append(notices);
      dialog.remove();
      resolve(dialog.returnValue === "done");
    });
  });
}

/** Ask whether to go on; the answer that changes nothing has the focus. */
export const confirm = (title, text, yes) =>
  show(title, text, (done, cancel) => [
    h(
      "div",
      { class: "row" },
      button("Cancel", cancel, { autofocus: true }),
      button(yes, done, { class: "main danger" }),
    ),
  ]);

/** Which proofs the account has besides its password. */
async function otherProofs() {
  try {
    const { data } = await call("GET", "/api/users/me/factors");
    return { code: data.totp || data.recoveryCodesLeft > 0, passkey: data.passkeys > 0 && canUsePasskeys() };
  } catch {
    return {}; // the password is asked for in any case
  }
}

whenProofIsWanted(async (message) => {
  const has = await otherProofs();
  return show("Is it still you?", message, (done, cancel) => {
    async function prove(proof) {
      await call("POST", "/api/users/me/fresh", proof);
      done();
    }
    const password = passwordField("password", "Your password", { autocomplete: "current-password", autofocus: true });
    const code = field("code", "Or a code from your authenticator app, or a recovery code", {
      autocomplete: "one-time-code",
      required: true,
    });
    return [
      form([ownerOf(session.user.username), password], "Confirm", ({ password: given }) => prove({ password: given })),
      has.code && form(code, "Confirm with the code", ({ code: given }) => prove({ code: given.trim() })),
      h(
        "div",
        { class: "row" },
        has.passkey && action("Use a passkey", async () => prove({ credential: await usePasskey() })),
        button("Cancel", cancel),
      ),
    ];
  });
});
