"""Bytes in, events out: what messages say and where they end, without I/O."""
