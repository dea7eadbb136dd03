// Passkeys, by the browser's own means (WebAuthn).

import { call } from "./api.js";

export const canUsePasskeys = () => "PublicKeyCredential" in window && "parseRequestOptionsFromJSON" in PublicKeyCredential;

/** Have a passkey of this service sign; return what the API takes for a proof. */
export async function usePasskey(more = {}) {
  const { data } = await call("POST", "/api/auth/passkeys/options");
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(data);
  return (await navigator.credentials.get({ publicKey, ...more })).toJSON();
}

/** Have the browser make a passkey; return what the API takes. */
export async function makePasskey() {
  const { data } = await call("POST", "/api/users/me/passkeys/options");
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(data);
  return (await navigator.credentials.create({ publicKey })).toJSON();
}

/** Begin a session by a passkey alone; return what the API says of it. */
export const signInByPasskey = async (more) =>
  (await call("POST", "/api/auth/passkeys", { credential: await usePasskey(more) })).data;

/**
 * Let the browser offer passkeys in the field for the user name, until the visitor leaves or one is chosen.
 * Nothing is said when it cannot, or when nobody chooses one.
 */
export async function offerPasskeys(leaving, begin) {
  if (!canUsePasskeys() || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  try {
    begin(await signInByPasskey({ mediation: "conditional", signal: leaving }));
  } catch {
    // The form is still there.
  }
}
