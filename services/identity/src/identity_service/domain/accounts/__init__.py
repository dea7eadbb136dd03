"""What is true of people's accounts: names, addresses, passwords, roles."""
