"""Users that come from another system."""
