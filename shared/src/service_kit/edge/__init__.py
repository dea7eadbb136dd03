"""HTTP/1 as a service meets it: connections of clients, read strictly."""
