"""What a request may ask of content."""
