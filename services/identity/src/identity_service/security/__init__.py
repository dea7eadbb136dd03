"""Cryptographic primitives, one a file."""
