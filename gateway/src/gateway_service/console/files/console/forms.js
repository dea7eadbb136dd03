// Forms: labels, hints, faults beside their fields, one submission at a time, and dialogs that ask first.

import { button, h } from "./dom.js";
import { announceRefusal, clearNotices } from "./notices.js";

/** A labelled input; `name` is the member of the API's body, `key` tells fields of one name on a page apart. */
export function field(name, label, { hint, key = "", ...attributes } = {}) {
  const plain = `field-${name}${key}`;
  const id = document.getElementById(plain) ? `${plain}-again` : plain; // a dialog over a form may ask for the same
  const described = [hint && `${id}-hint`, `${id}-fault`].filter(Boolean).join(" ");
  return h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    h("input", { id, name, "aria-describedby": described, autocomplete: "off", ...attributes }),
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
    h("p", { class: "fault", id: `${id}-fault` }),
  );
}

/** The API judges addresses: browsers refuse some that it takes, such as jörg@example.org. */
export const emailField = (label, more = {}) =>
  field("email", label, { inputmode: "email", autocomplete: "email", autocapitalize: "none", required: true, ...more });

export const passwordField = (name, label, more = {}) => field(name, label, { type: "password", required: true, ...more });

/** Whose password a form is about, for password managers; the API is not sent it. */
export const ownerOf = (username) =>
  h("input", { name: "owner", value: username, autocomplete: "username", readonly: true, hidden: true });

/** A checkbox; several may share a name. */
export const check = (name, label, attributes = {}) =>
  h("label", { class: "check" }, h("input", { type: "checkbox", name, ...attributes }), label);

/**
 * A form that hands its values to `submit`, shows each fault beside its field, and says whatever else is wrong.
 * `submit` gets an object of texts, and announces its success itself.
 */
export function form(children, label, submit, { name } = {}) {
  const submitButton = h("button", { class: "main" }, label);
  return h(
    "form",
    { novalidate: true, "aria-label": name, on: { submit: (event) => run(event, submit, submitButton) } },
    children,
    h("div", { class: "row" }, submitButton),
  );
}

async function run(event, submit, submitButton) {
  event.preventDefault();
  const element = event.currentTarget;
  if (submitButton.getAttribute("aria-disabled")) return;
  clearFaults(element);
  clearNotices();
  if (!checkInputs(element)) return;
  submitButton.setAttribute("aria-disabled", "true");
  try {
    await submit(Object.fromEntries(new FormData(element)), element);
  } catch (error) {
    for (const { field: name, message } of error.errors ?? []) showFault(element, name, message, error.language);
    announceRefusal(error);
    element.querySelector("[aria-invalid]")?.focus();
  } finally {
    submitButton.removeAttribute("aria-disabled");
  }
}

/** What the browser itself finds, shown as everything else is. */
function checkInputs(element) {
  const wrong = [...element.elements].filter((input) => input.willValidate && !input.validity.valid);
  for (const input of wrong) showFault(element, input.name, input.validationMessage, navigator.language);
  wrong[0]?.focus();
  return !wrong.length;
}

function showFault(element, name, message, lang) {
  const input = element.elements.namedItem(name);
  const place = input?.id && document.getElementById(`${input.id}-fault`);
  if (!place) return;
  input.setAttribute("aria-invalid", "true");
  place.textContent = message;
  place.lang = lang ?? "";
}

function clearFaults(element) {
  for (const input of element.elements) input.removeAttribute("aria-invalid");
  for (const place of element.querySelectorAll(".fault")) place.textContent = "";
}

/** A button that does something and says what happened, one click at a time. */
export function action(text, run, more = {}) {
  const element = button(text, async () => {
    if (element.getAttribute("aria-disabled")) return;
    element.setAttribute("aria-disabled", "true");
    clearNotices();
    try {
      await run();
    } catch (error) {
      announceRefusal(error);
    } finally {
      element.removeAttribute("aria-disabled");
    }
  }, more);
  return element;
}
