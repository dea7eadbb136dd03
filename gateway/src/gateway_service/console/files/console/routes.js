// Every page: its address, its module, and who may open it.

function page(path, title, module, more = {}) {
  const script = new URL(`./pages/${module}.js`, import.meta.url).href;
  return { path, title, script, ...more };
}

const FOR_USERS = { role: "user" };
const WITH_MAILBOX = { needs: "mailbox" };
const FOR_ADMINS = { role: "admin" };

export const SIGN_IN = page("/sign-in", "Sign in", "sign_in", { onlyVisitors: true });
const NOWHERE = page("/nowhere", "No such page", "nowhere");

export const SECTIONS = [
  {
    title: "Try it",
    pages: [
      page("/", "Start", "home"),
      page("/sign-up", "Sign up", "sign_up", { onlyVisitors: true }),
      SIGN_IN,
      page("/resources", "Resources", "resources"),
      page("/sign-in-code", "Sign in with a code", "sign_in_code", { onlyVisitors: true, inMenu: false }),
      page("/email-verification", "Confirm an address", "mailed_link", { inMenu: false }),
      page("/email-change", "Confirm a new address", "mailed_link", { inMenu: false }),
      page("/email-change-undo", "Restore the old address", "mailed_link", { inMenu: false }),
      page("/factor-change-undo", "Undo a change of factors", "mailed_link", { inMenu: false }),
      page("/password-reset", "Forgotten password", "password_reset", { inMenu: false }),
    ],
  },
  {
    title: "Development",
    pages: [
      page("/mailbox", "Mailbox", "development/mailbox", WITH_MAILBOX),
      page("/mail", "Mail", "development/mail", { ...WITH_MAILBOX, inMenu: false }),
    ],
  },
  {
    title: "My account",
    pages: [
      page("/profile", "Profile", "account/profile", FOR_USERS),
      page("/password", "Password", "account/password", FOR_USERS),
      page("/second-factor", "Second factor", "account/second_factor", FOR_USERS),
      page("/passkeys", "Passkeys", "account/passkeys", FOR_USERS),
      page("/sessions", "Sessions", "account/sessions", FOR_USERS),
      page("/leaving", "Your data", "account/leaving", FOR_USERS),
    ],
  },
  {
    title: "Administration",
    pages: [
      page("/users", "Users", "admin/users", FOR_ADMINS),
      page("/new-user", "New user", "admin/new_user", FOR_ADMINS),
      page("/user", "User", "admin/user", { ...FOR_ADMINS, inMenu: false }),
      page("/roles", "Roles", "admin/roles", FOR_ADMINS),
      page("/audit", "Audit trail", "admin/audit", FOR_ADMINS),
      page("/keys", "Signing keys", "admin/keys", FOR_ADMINS),
      page("/gateway", "Gateway", "admin/gateway", FOR_ADMINS),
    ],
  },
];

const PAGES = new Map(SECTIONS.flatMap(({ pages }) => pages).map((each) => [each.path, each]));

/** The page that a fragment such as `#/users?search=ada` names. */
export function pageAt(fragment) {
  const [path] = fragment.slice(1).split("?");
  return PAGES.get(path || "/") ?? NOWHERE;
}
