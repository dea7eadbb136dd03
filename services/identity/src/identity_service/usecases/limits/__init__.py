"""Limits of attempts, and of how late a request may be."""
