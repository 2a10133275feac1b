"""Tells customers and partners by e-mail what becomes of an order, and keeps what was told as evidence.

Consumes: customers (whom to write to), offers (what to write about), orders, cases (decisions about its dead letters,
carried out by the chassis).
Publishes: notices; on dead-letters what could not be delivered.
Owns: notices with their hashes, contacts of partners, its copies of customers and offers.
"""
