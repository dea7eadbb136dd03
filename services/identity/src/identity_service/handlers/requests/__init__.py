"""What a request says of its client, and which requests are refused."""
