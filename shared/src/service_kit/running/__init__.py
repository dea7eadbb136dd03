"""Running a service: its sockets, its internal port, its doctor."""
