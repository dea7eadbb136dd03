"""Which replicas an upstream has, by DNS or by a list."""
