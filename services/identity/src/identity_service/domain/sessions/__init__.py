"""What is true of sessions, and of how people proved who they are."""
