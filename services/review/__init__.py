"""The dead-letter review queue: every discrepancy and every failed message is one case that a person decides.

Consumes: dead-letters (what opens a case, and what was released), orders (what closes or moves it).
Publishes: cases (opened, decided, closed).
Owns: cases with their owner, clock and decisions; the raw messages; what was seen of each order.
"""
