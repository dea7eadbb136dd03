"""What handlers find in the application."""

from typing import Final

from aiohttp import web

from identity_service.handlers.cookies import TokenTransport
from identity_service.handlers.origins import ClientAddresses, TrustedPages
from identity_service.security.client_secrets import ClientSecrets
from identity_service.usecases.accounts import Accounts
from identity_service.usecases.audit import Audit
from identity_service.usecases.oauth import PresentedTokens
from identity_service.usecases.roles import Roles
from identity_service.usecases.sessions import Sessions
from identity_service.usecases.signing_keys import SigningKeys
from identity_service.usecases.status_lists import StatusLists
from identity_service.usecases.users import Users

ACCOUNTS: Final = web.AppKey("ACCOUNTS", Accounts)
SESSIONS: Final = web.AppKey("SESSIONS", Sessions)
AUDIT: Final = web.AppKey("AUDIT", Audit)
INTROSPECTION_CLIENTS: Final = web.AppKey("INTROSPECTION_CLIENTS", ClientSecrets)
METADATA: Final = web.AppKey("METADATA", bytes)
PRESENTED_TOKENS: Final = web.AppKey("PRESENTED_TOKENS", PresentedTokens)
ROLES: Final = web.AppKey("ROLES", Roles)
SIGNING_KEYS: Final = web.AppKey("SIGNING_KEYS", SigningKeys)
STATUS_LISTS: Final = web.AppKey("STATUS_LISTS", StatusLists)
USERS: Final = web.AppKey("USERS", Users)
CLIENT_ADDRESSES: Final = web.AppKey("CLIENT_ADDRESSES", ClientAddresses)
TRUSTED_PAGES: Final = web.AppKey("TRUSTED_PAGES", TrustedPages)
TOKEN_TRANSPORT: Final = web.AppKey("TOKEN_TRANSPORT", TokenTransport)
