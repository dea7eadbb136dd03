"""Several processes on the same ports, started, watched and reloaded together."""
