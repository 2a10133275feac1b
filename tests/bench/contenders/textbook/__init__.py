"""Plain with the promises kept, the textbook's way: an inbox row per message and an outbox row per event.

Both are in the transaction of the work; a relay per service polls the outbox and publishes in order; calls to the
outside are rows, polled with SKIP LOCKED. A message that failed is handled again (NACK_ON_ERROR).
"""
