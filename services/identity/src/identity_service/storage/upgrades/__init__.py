"""The schema's version, and the way from one to the next."""
