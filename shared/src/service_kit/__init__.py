"""Code that the services share."""
