"""Begin, refresh, introspect and end sessions."""
