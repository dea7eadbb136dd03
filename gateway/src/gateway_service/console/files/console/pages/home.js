// The start: what to do here, for whoever is here.

import { h } from "../dom.js";
import { session } from "../session.js";

const card = (title, href, text) =>
  h("li", { class: "card" }, h("h2", {}, h("a", { href }, title)), h("p", {}, text));

const FOR_VISITORS = [
  ["Sign up", "#/sign-up", "Create an account with a user name, an e-mail address and a password."],
  ["Sign in", "#/sign-in", "Start a session. This page keeps the access token in memory only."],
  ["Read the resources", "#/resources", "One is public; the others say what they require."],
];
const FOR_USERS = [
  ["Read the resources", "#/resources", "See which of the four your roles open."],
  ["Look at your sessions", "#/sessions", "Each is one sign-in on one device. End those that you do not recognise."],
  ["Change your password", "#/password", "This ends your other sessions."],
];
const FOR_ADMINS = [
  ["Find a user", "#/users", "Assign roles, disable accounts, end sessions."],
  ["Read the audit trail", "#/audit", "Who did what, when and from where, and whether the record is intact."],
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
