// Makes elements. Text is always text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

function make(element, attributes, children) {
  const { on = {}, ...rest } = attributes;
  for (const [name, value] of Object.entries(rest)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  for (const [event, handler] of Object.entries(on)) element.addEventListener(event, handler);
  element.append(...children.flat(Infinity).filter((child) => ![null, undefined, false].includes(child)));
  return element;
}

/** An HTML element; `on` has its event handlers. */
export const h = (name, attributes = {}, ...children) => make(document.createElement(name), attributes, children);

/** An SVG element. */
export const svg = (name, attributes = {}, ...children) =>
  make(document.createElementNS(SVG, name), attributes, children);

const SHOWN_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** A moment in words of the reader's own place. */
export function time(moment) {
  if (!moment) return "never";
  const lang = SHOWN_TIME.resolvedOptions().locale;
  return h("time", { datetime: moment, lang }, SHOWN_TIME.format(new Date(moment)));
}

/** Facts as a list of terms. */
export const facts = (pairs) =>
  h("dl", { class: "facts" }, pairs.map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));

export const tag = (text, tone = "") => h("span", { class: `tag ${tone}` }, text);

export const button = (text, click, more = {}) => h("button", { type: "button", on: { click }, ...more }, text);

/** A table that becomes a list of its rows where the screen is narrow. */
export function table(caption, columns, rows) {
  const cells = (row) =>
    row.map((cell, at) => (at ? h("td", { "data-name": columns[at] }, cell) : h("th", { scope: "row" }, cell)));
  return h(
    "div",
    { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    h(
      "table",
      { class: "stacked" },
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col" }, column)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, cells(row)))),
    ),
  );
}
