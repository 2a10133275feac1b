"""The whole system on one machine: Kafka, PostgreSQL, all services, and stand-ins for the outside world."""
