"""What operators see and do: reload, workers, TLS, logs, metrics, status, doctor."""
