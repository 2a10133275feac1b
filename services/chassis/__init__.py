"""What every service is bolted on: delivery, transactions, jobs, doors; it knows Event, but no particular one."""
