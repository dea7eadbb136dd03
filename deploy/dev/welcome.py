"""What `make up` says once everything is ready."""

from collections.abc import Mapping
from typing import Final

from deploy.dev.profile import (
    ADMIN_CREDENTIALS,
    ROOT,
    admin_credentials,
    gives_cookies,
    public_url,
)

from identity_service.domain.accounts.users import AdminOutcome

_WELCOME: Final = """
Gatehouse is ready: {url}

  Try it       open that address, or follow "Two minutes" in README.md
  First admin  {admin}
{mailbox}  Front-ends   may call from any port of http://localhost and http://127.0.0.1;
               {cookies}
  Stop         Ctrl-C, or `make down` in another terminal; the data stays in .local/
"""

_COOKIES: Final = "open those that use cookies under http://localhost"
_NO_COOKIES: Final = "with cookies or refresh tokens: TUTORIAL_COMPAT=true make up"

_MAILBOX: Final = "  Mail         is stored, not sent: {url}/console#/mailbox\n"

_ADMIN: Final = {
    AdminOutcome.CREATED: "{username}, password {password} (also in {file})",
    AdminOutcome.UNCHANGED: "{username}, with the password in {file}",
    AdminOutcome.OTHER_PASSWORD: "{username}; the password in {file} was changed",
}


def welcome(environ: Mapping[str, str], outcome: AdminOutcome) -> str:
    """Return the text; it shows the first admin's password on the first start alone."""
    admin = _ADMIN[outcome].format(
        **admin_credentials(), file=ADMIN_CREDENTIALS.relative_to(ROOT)
    )
    url = public_url(environ)
    return _WELCOME.format(
        url=url,
        mailbox=_MAILBOX.format(url=url) if "IDENTITY_MAILBOX" in environ else "",
        admin=admin,
        cookies=_COOKIES if gives_cookies(environ) else _NO_COOKIES,
    )
