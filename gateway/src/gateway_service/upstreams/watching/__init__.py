"""Keep an upstream's replicas, and what is known of their health, up to date."""
