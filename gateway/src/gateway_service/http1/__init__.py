"""HTTP/1 towards clients, and the grammar of both sides."""
