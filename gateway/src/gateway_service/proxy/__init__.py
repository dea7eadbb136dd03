"""What becomes of a request: match -> select -> send -> relay."""
