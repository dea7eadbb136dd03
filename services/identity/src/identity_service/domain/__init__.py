"""What is true of users, roles, sessions and keys. No I/O; the time is an argument."""
