"""Connections to replicas: pooled, and used for one request after another."""
