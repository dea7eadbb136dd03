// The start: what to do here, for whoever is here.

import { h } from "../dom.js";
import { session } from "../session.js";

const card = (title, href, text) =>
  h("li", { class: "card" }, h("h2", {}, h("a", { href }, title)), h("p", {}, text));

const FOR_VISITORS = [
  ["Sign up", "#/sign-up", "Make an account: a user name, an e-mail address and a password."],
  ["Sign in", "#/sign-in", "Begin a session. This page holds the access token in memory alone."],
  ["Read the resources", "#/resources", "One is open to everybody; the others say what they ask for."],
];
const FOR_USERS = [
  ["Read the resources", "#/resources", "See which of the four open for your roles."],
  ["Look at your sessions", "#/sessions", "Each is one sign-in on one device. End those that you do not know."],
  ["Change your password", "#/password", "Your other sessions end with it."],
];
const FOR_ADMINS = [
  ["Find a user", "#/users", "Give roles, disable, end sessions."],
  ["Follow the audit trail", "#/audit", "Who did what, when, from where, and whether the record is whole."],
  ["Watch the gateway", "#/gateway", "Replicas, requests in flight, rate and latency."],
];

export function render() {
  const { user } = session;
  const cards = [...(user ? FOR_USERS : FOR_VISITORS), ...(session.hasRole("admin") ? FOR_ADMINS : [])];
  const greeting = user ? `You are signed in as ${user.username}.` : "You are not signed in.";
  return [
    h("p", { class: "lead" }, greeting),
    h("ul", { class: "cards" }, cards.map((each) => card(...each))),
  ];
}
