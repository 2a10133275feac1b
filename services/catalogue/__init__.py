"""Publishes offers as dated, immutable versions, and withdraws them from sale.

Consumes: cases (decisions about its dead letters, carried out by the chassis).
Publishes: offers.
Owns: every published version of every offer.
"""
