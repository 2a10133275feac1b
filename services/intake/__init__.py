"""Takes orders from partners, judges them at the price gate, asks the customer, and decides every order's state.

Consumes: offers (its own copy), subscriptions and invoices (what was done and charged), cases (what reviewers decided).
Publishes: orders, customers; discrepancies on dead-letters.
Owns: orders and their states, turns, confirmations, customers on file, partners and their agents.
"""
