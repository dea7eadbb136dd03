"""The only public port: routes, balances, handles CORS."""
