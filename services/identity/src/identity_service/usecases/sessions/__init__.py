"""Sessions and their tokens: begun, refreshed, looked at, ended."""
