"""The database: tables and one repository per noun. Repositories never commit."""
