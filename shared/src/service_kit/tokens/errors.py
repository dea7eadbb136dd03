"""What verification can end in, other than claims."""


class InvalidTokenError(Exception):
    """The token is malformed, forged, expired, revoked, or meant for someone else.

    The text says which, for logs; it never quotes the token and is not for clients.
    """


class KeysUnavailableError(Exception):
    """No verification keys of the issuer could be had, so nothing can be judged."""


class StatusUnavailableError(Exception):
    """No usable status list could be had, so revocation cannot be judged."""
