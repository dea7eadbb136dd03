"""The issuer's access tokens in other people's services; each example is tested."""
