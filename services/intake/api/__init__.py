"""Intake's doors: partners' orders, the customer's page, and what operators put on file."""

from services.intake.api import confirmations, files, orders

routers = (orders.router, confirmations.router, files.router)
