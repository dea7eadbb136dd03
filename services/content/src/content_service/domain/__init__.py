"""What content holds, and for whom."""
