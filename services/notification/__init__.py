"""Tells customers and partners by e-mail, and partners' systems by webhook, what becomes of an order.

Consumes: customers (whom to write to), offers (what to write about), orders, cases (decisions about its dead letters,
carried out by the chassis).
Publishes: notices; on dead-letters what could not be delivered.
Owns: notices with their hashes (evidence of what was told), contacts of partners, their webhooks and what was sent
there, its copies of customers and offers.
"""
