"""What people do to their accounts by mail, and when they leave."""
