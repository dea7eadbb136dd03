"""Pages for people, served by the gateway itself from memory."""
