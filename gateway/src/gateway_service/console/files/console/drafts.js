// What was in the forms of a page when a session ended, for when its user is here again. Passwords are not kept.

let draft = null;

const inputs = () => [...document.querySelectorAll("main input:not([type=password])")];
const namesOf = (all) => all.map(({ name }) => name).join();

/** Keep what a user has entered on this page. */
export function keepDraft(user) {
  const all = inputs();
  const values = all.map(({ value, checked }) => ({ value, checked }));
  draft = { user: user.id, fragment: location.hash, names: namesOf(all), values };
}

/** Put back what the user who is here had entered on this page. */
export function restoreDraft(user) {
  if (user?.id !== draft?.user || location.hash !== draft?.fragment) return;
  const all = inputs();
  if (namesOf(all) === draft.names) all.forEach((input, at) => Object.assign(input, draft.values[at]));
  draft = null;
}
