"""Import users from another system."""
