"""The services behind the gateway, their health, and connections to them."""
