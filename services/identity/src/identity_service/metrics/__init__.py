"""What the operator watches; each value is read when it is asked for."""
