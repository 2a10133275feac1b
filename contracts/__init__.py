"""The shared language of all services: events, money, topics; it imports pydantic and nothing else."""
