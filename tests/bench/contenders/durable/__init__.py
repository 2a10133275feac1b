"""One durable DBOS workflow per order: the door enqueues it under the idempotency key, workers carry it out.

Every step commits its own rows, publishes its events and is then written down by DBOS; a step that is run again finds
its rows there and publishes the same events under the same ids. There is one database for all of it.
"""
