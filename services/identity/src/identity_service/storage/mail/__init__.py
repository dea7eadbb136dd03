"""Mail, and the tokens that travel by it."""
