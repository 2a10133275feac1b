"""What the contenders share: their environment, the demo's reference data, tables, and each service's work."""
