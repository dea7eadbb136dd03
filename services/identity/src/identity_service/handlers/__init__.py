"""HTTP in, HTTP out: parse, call, render."""
