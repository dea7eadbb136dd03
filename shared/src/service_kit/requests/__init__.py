"""What every service does with a request before and after its handler."""
