"""Who may try how often, and whose turn it is."""
