// Opens the page that the address names, and moves the focus to its heading.

import { Refusal, unreachable } from "./api.js";
import { button, h } from "./dom.js";
import { restoreDraft } from "./drafts.js";
import { announce, announceRefusal, clearNotices } from "./notices.js";
import { SIGN_IN, pageAt } from "./routes.js";
import { session } from "./session.js";

const main = document.getElementById("main");
let leaving = new AbortController();
let message = null;
let isFirst = true; // a window that opens begins at its top, with the skip link

/** Open a page; `said` is announced once it is there. */
export function go(path, said = null, tone = "good") {
  message = said && [said, tone];
  if (location.hash === `#${path}`) open();
  else location.hash = path;
}

/** Lead whoever signs in next to a page, if it is one that asks for that. */
export function want(fragment) {
  if (pageAt(fragment).role) sessionStorage.setItem("wanted", fragment);
}

/** Open the page of the address, now, whenever it changes, and when a link leads to where one is. */
export function start() {
  addEventListener("hashchange", open);
  addEventListener("click", (event) => {
    const opensElsewhere = event.ctrlKey || event.metaKey || event.shiftKey;
    const link = event.target.closest("a");
    if (link?.hash && link.href === location.href && !opensElsewhere) open();
  });
  open();
}

/** The parameters that stand in the address. */
export function parameters() {
  return new URLSearchParams(location.hash.split("?")[1] ?? "");
}

/** The token of a mail's link, which does not stay in the address. */
export function takeToken() {
  const token = parameters().get("token");
  if (token) history.replaceState(null, "", location.hash.split("?")[0]);
  return token;
}

/** A query string; parameters without a value are left out. */
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return new URLSearchParams(given).toString();
}

/** The address of a page with parameters. */
export function address(path, values = {}) {
  const given = query(values);
  return `#${path}${given && `?${given}`}`;
}

/** Import a script; a TypeError may be its own, or mean that it was not fetched, which Firefox then takes for granted. */
async function load(script) {
  try {
    return await import(script);
  } catch {
    const response = await fetch(script, { cache: "no-store" }).catch(() => null);
    if (!response?.ok) throw unreachable();
  }
  try {
    return await import(`${script}?${Date.now()}`);
  } catch (error) {
    console.error(error);
    throw error;
  }
}

async function open() {
  leaving.abort();
  const visit = (leaving = new AbortController());
  const said = message;
  message = null;
  clearNotices();
  const unknown = session.isKnown ? null : await session.restore().then(() => null, (error) => error);
  if (visit.signal.aborted) return;
  let page = pageAt(location.hash);
  if (page.role && !session.user && !unknown) {
    want(location.hash);
    page = SIGN_IN;
  }
  if (page.onlyVisitors && session.user) {
    location.replace("#/"); // the way back leads here, too
    return;
  }
  document.title = `${page.title} · Gatehouse`;
  main.setAttribute("aria-busy", "true");
  const heading = h("h1", { tabindex: "-1" }, page.title);
  const content = h("div", {}, h("p", { class: "busy" }, "One moment."));
  main.replaceChildren(heading, content);
  if (!isFirst) heading.focus({ preventScroll: true });
  isFirst = false;
  scrollTo(0, 0);
  try {
    if (unknown && page.role) throw unknown;
    if (!session.mayOpen(page))
      throw new Error(page.needs ? "There is no such page on this system." : "This page is for administrators.");
    const { render } = await load(page.script);
    const rendered = await render(visit.signal);
    if (visit.signal.aborted) return;
    content.replaceChildren(h("div", {}, rendered));
    restoreDraft(session.user);
    if (unknown) announceRefusal(unknown);
  } catch (error) {
    if (visit.signal.aborted) return;
    const again = error instanceof Refusal && h("div", { class: "row" }, button("Try again", open));
    const start = h("p", {}, h("a", { href: "#/" }, "Go to the start"));
    content.replaceChildren(h("div", {}, h("p", {}, "This page could not be shown."), again, start));
    announceRefusal(error);
  }
  if (visit.signal.aborted) return;
  main.removeAttribute("aria-busy");
  if (said) announce(...said);
}
