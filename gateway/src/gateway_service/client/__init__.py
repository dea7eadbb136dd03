"""The gateway's side towards upstreams: connections, and pools of them."""
