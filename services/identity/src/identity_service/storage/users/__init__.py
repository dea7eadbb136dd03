"""Users, their roles, and those who are yet to become users."""
