"""What handlers find in the application."""

from typing import Final

from aiohttp import web

from identity_service.handlers.cookies import TokenTransport
from identity_service.handlers.origins import ClientAddresses, TrustedPages
from identity_service.usecases.accounts import Accounts
from identity_service.usecases.sessions import Sessions
from identity_service.usecases.users import Users

ACCOUNTS: Final = web.AppKey("ACCOUNTS", Accounts)
SESSIONS: Final = web.AppKey("SESSIONS", Sessions)
USERS: Final = web.AppKey("USERS", Users)
CLIENT_ADDRESSES: Final = web.AppKey("CLIENT_ADDRESSES", ClientAddresses)
TRUSTED_PAGES: Final = web.AppKey("TRUSTED_PAGES", TrustedPages)
TOKEN_TRANSPORT: Final = web.AppKey("TOKEN_TRANSPORT", TokenTransport)
