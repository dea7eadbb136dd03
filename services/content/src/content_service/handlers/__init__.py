"""One module for each kind of resource: parse, call, render."""
