// Lists come in pages; which one is shown stands in the address, so the browser's own way back works.

import { call } from "./api.js";
import { h } from "./dom.js";
import { address, go, parameters, query } from "./router.js";

const PAGE_SIZE = 20;

/** Get a page of a list that the API cuts; `values` are its parameters. */
export const readList = async (path, values) => (await call("GET", `${path}?${query({ ...values, limit: PAGE_SIZE })}`)).data;

/** Show what a list has for other values. If the API refuses them, the form that gave them stays as it is. */
export async function search(page, path, values, said) {
  await readList(path, values);
  go(address(page, values).slice(1), said);
}

/** Links to the first and the next page of a list that the API cuts by a cursor, the parameter `name`. */
export function cursorLinks(path, values, next, name = "cursor") {
  const isFirst = !values[name];
  return links([
    !isFirst && ["First page", address(path, { ...values, [name]: null })],
    next && ["Next page", address(path, { ...values, [name]: next })],
  ]);
}

/** One page of a list that is here whole, and the links to its neighbours. */
export function cut(path, all) {
  const last = Math.max(1, Math.ceil(all.length / PAGE_SIZE));
  const number = Math.min(last, Math.max(1, Number(parameters().get("page")) || 1));
  const shown = all.slice((number - 1) * PAGE_SIZE, number * PAGE_SIZE);
  const to = (text, page) => [text, address(path, { page })];
  const nav = links([number > 1 && to("Previous page", number - 1), number < last && to("Next page", number + 1)]);
  return { shown, nav };
}

function links(pairs) {
  const given = pairs.filter(Boolean);
  if (!given.length) return null;
  return h(
    "nav",
    { class: "row", "aria-label": "Pages of the list" },
    given.map(([text, href]) => h("a", { class: "button", href }, text)),
  );
}
