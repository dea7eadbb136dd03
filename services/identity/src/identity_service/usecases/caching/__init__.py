"""Values that many ask for: read once, kept for a moment, and waited for."""
