"""Intake's doors: partners' orders and evidence, the customer's page, and what operators put on file."""

from services.intake.api import confirmations, evidence, files, orders

routers = (orders.router, evidence.router, confirmations.router, files.router)
