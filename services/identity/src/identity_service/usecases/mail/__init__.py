"""Write mail into the outbox, and send it."""
