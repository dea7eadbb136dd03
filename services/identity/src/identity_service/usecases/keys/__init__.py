"""The keys that sign access tokens: made, sealed, published, succeeded."""
