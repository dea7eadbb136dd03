"""Requests on their way: match -> select -> send -> relay."""
