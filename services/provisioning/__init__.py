"""Gives customers what they ordered: checks against its own inventory, keeps a snapshot, and has the network do it.

Consumes: offers (its own copy), OrderConfirmed and OrderCancellationRequested of orders.
Publishes: subscriptions; discrepancies on dead-letters.
Owns: the inventory of subscriptions, the loss guard (S5), every change with its snapshot, reserved numbers and devices.
"""
