// What this system offers and others do not: on a developer's own machine, the mails that were sent.

import { call } from "./api.js";

const OWN_HOSTS = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Whether a host is this machine: nobody but developers is there, and nobody else is asked. */
export const isOwnHost = (name) => OWN_HOSTS.has(name);

export const offers = { mailbox: false };

/** Find out. A system that is away offers nothing; the page that is opened says so. */
export async function readOffers() {
  if (!isOwnHost(location.hostname)) return;
  try {
    const { data } = await call("GET", "/.well-known/oauth-authorization-server");
    offers.mailbox = "mailbox_endpoint" in data;
  } catch {
    offers.mailbox = false;
  }
}
