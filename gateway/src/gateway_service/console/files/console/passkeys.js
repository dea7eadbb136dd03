// Passkeys, by the browser's own means (WebAuthn).

import { Refusal, call } from "./api.js";
import { announceRefusal } from "./notices.js";

export const canUsePasskeys = () => "PublicKeyCredential" in window && "parseRequestOptionsFromJSON" in PublicKeyCredential;

/** Milliseconds after which an offer is made anew: less than the five minutes that a challenge lives. */
const OFFER_LIVES = 4 * 60 * 1000;

/** What the browser's own refusals mean; its texts are for programmers. */
const REFUSALS = {
  InvalidStateError: "This device has a passkey of your account already.",
  NotAllowedError: "No passkey was used: the request was cancelled, took too long, or there is none on this device.",
  SecurityError: "Passkeys do not work at this address. Open the console at the address that the service is known by.",
};

let offer = new AbortController();

/** Wait for the browser, and say in words why it refuses. */
async function inWords(promise) {
  try {
    return await promise;
  } catch (error) {
    throw error.name in REFUSALS ? new Refusal(REFUSALS[error.name]) : error;
  }
}

async function sign(more) {
  const { data } = await call("POST", "/api/auth/passkeys/options");
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(data);
  return (await inWords(navigator.credentials.get({ publicKey, ...more }))).toJSON();
}

/** Have a passkey of this service sign; return what the API takes for a proof. */
export function usePasskey() {
  offer.abort(); // a browser asks for one passkey at a time
  return sign({});
}

/** Have the browser make a passkey; return what the API takes. */
export async function makePasskey() {
  const { data } = await call("POST", "/api/users/me/passkeys/options");
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(data);
  return (await inWords(navigator.credentials.create({ publicKey }))).toJSON();
}

const beginBy = async (credential) => (await call("POST", "/api/auth/passkeys", { credential })).data;

/** Begin a session by a passkey alone; return what the API says of it. */
export const signInByPasskey = async () => beginBy(await usePasskey());

/**
 * Let the browser offer passkeys in the field for the user name, until the visitor leaves or one is chosen.
 * Nothing is said when it cannot, or when nobody chooses one; a chosen one that is refused is told of.
 */
export async function offerPasskeys(leaving, begin) {
  if (!canUsePasskeys() || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  offer = new AbortController();
  const late = AbortSignal.timeout(OFFER_LIVES);
  let credential;
  try {
    const signal = AbortSignal.any([leaving, offer.signal, late]);
    credential = await sign({ mediation: "conditional", signal });
  } catch {
    if (late.aborted && !leaving.aborted && !offer.signal.aborted) await offerPasskeys(leaving, begin);
    return; // Otherwise the form is still there.
  }
  try {
    begin(await beginBy(credential));
  } catch (error) {
    announceRefusal(error);
  }
}
