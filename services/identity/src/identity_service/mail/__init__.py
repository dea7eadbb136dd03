"""Mail: its texts, the messages made of them, and the ways out of the house."""
