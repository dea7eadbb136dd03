// Dialogs: a question before what cannot be undone, and a proof of who one is before what matters.

import { call, whenProofIsWanted } from "./api.js";
import { button, h } from "./dom.js";
import { form, passwordField } from "./forms.js";

/** Show a dialog until it is closed; return whether it was closed with `done`. */
function show(title, text, fill) {
  const dialog = h("dialog", { "aria-labelledby": "dialog-title", "aria-describedby": "dialog-text" });
  const close = (value) => dialog.close(value);
  dialog.append(
    h("h2", { id: "dialog-title" }, title),
    h("p", { id: "dialog-text" }, text),
    ...fill(() => close("done"), () => close("")),
  );
  const notices = document.querySelector(".notices");
  dialog.append(notices); // whatever is outside of a dialog is neither seen nor read out
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
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

whenProofIsWanted((message) =>
  show("Is it still you?", message, (done, cancel) => {
    async function submit({ password }) {
      await call("POST", "/api/users/me/fresh", { password });
      done();
    }
    const field = passwordField("password", "Your password", { autocomplete: "current-password", autofocus: true });
    return [form(field, "Confirm", submit), button("Cancel", cancel)];
  }),
);
