// Starts the console: opens the page of the address, and draws the bar and the menu of whoever is here.

import "./dialogs.js";
import { h } from "./dom.js";
import { keepDraft } from "./drafts.js";
import { announceRefusal } from "./notices.js";
import { readOffers } from "./offers.js";
import { go, start, want } from "./router.js";
import { SECTIONS, pageAt } from "./routes.js";
import { session } from "./session.js";

const side = document.getElementById("side");
const menu = document.getElementById("menu");
const who = document.getElementById("who");

function drawMenu() {
  const sections = SECTIONS.map(({ title, pages }) => [
    title,
    pages.filter((page) => page.inMenu !== false && session.mayOpen(page)),
  ]);
  side.replaceChildren(
    ...sections
      .filter(([, pages]) => pages.length)
      .flatMap(([title, pages]) => [
        h("h2", {}, title),
        h("ul", {}, pages.map((page) => h("li", {}, h("a", { href: `#${page.path}` }, page.title)))),
      ]),
  );
  markCurrent();
}

function drawBar() {
  const items = session.user
    ? [
        h("a", { href: "#/profile" }, session.user.username),
        h("button", { type: "button", class: "plain", on: { click: signOut } }, "Sign out"),
      ]
    : [h("a", { href: "#/sign-in" }, "Sign in"), h("a", { href: "#/sign-up" }, "Sign up")];
  who.replaceChildren(...items.map((item) => h("li", {}, item)));
}

function markCurrent() {
  const current = `#${pageAt(location.hash).path}`;
  for (const link of document.querySelectorAll("#side a, #who a")) {
    if (link.getAttribute("href") === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function showMenu(isOpen) {
  side.classList.toggle("open", isOpen);
  menu.setAttribute("aria-expanded", String(isOpen));
}

/** Whether the browser lets this page store anything: cookies are blocked along with all else. */
function keepsCookies() {
  try {
    return Boolean(localStorage);
  } catch {
    return false;
  }
}

async function signOut() {
  try {
    const message = await session.signOut();
    go("/", message);
  } catch (error) {
    announceRefusal(error);
  }
}

session.addEventListener("change", () => {
  drawMenu();
  drawBar();
});
session.addEventListener("lost", ({ detail: user }) => {
  if (user) keepDraft(user);
  want(location.hash);
  go("/sign-in", "Your session has ended. Please sign in again.", "wait");
});
session.addEventListener("followed", () => {
  go("/", session.user && `${session.user.username} has signed in in another window.`, "wait");
});
addEventListener("hashchange", markCurrent);
side.addEventListener("click", () => showMenu(false));
menu.addEventListener("click", () => showMenu(menu.getAttribute("aria-expanded") !== "true"));
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the fragment of the address names the page
  document.getElementById("main").focus();
});

if (keepsCookies()) {
  await readOffers();
  start();
} else {
  const text = "The console needs cookies, which this browser blocks. Allow them for this site, and load this page again.";
  document.getElementById("main").replaceChildren(h("p", { role: "alert" }, text));
}
