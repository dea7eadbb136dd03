"""Sessions, and the status lists that revoke their access tokens."""
