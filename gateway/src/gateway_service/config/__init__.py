"""The configuration file: declared, read, checked."""
