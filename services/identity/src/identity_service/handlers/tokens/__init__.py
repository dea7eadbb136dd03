"""What services need to verify, introspect and revoke tokens."""
