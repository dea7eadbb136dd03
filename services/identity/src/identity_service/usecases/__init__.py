"""What the service does. Owns transactions; knows no HTTP and no SQL."""
