"""Charges what was published or decided, and nothing else: the second price gate, charges and their lines, commissions.

Consumes: offers (its own copy), subscriptions (what is in place now), orders (completed ones, for the commission).
Publishes: invoices, commissions; discrepancies on dead-letters.
Owns: prices in force per subscription with their history, charge lines, commission rates and commissions.
"""
