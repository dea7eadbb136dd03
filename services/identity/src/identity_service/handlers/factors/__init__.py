"""Second factors of the caller's, and sign-ins with them."""
