"""Services that accept the access tokens of an issuer (RFC 6749, section 1.1)."""
