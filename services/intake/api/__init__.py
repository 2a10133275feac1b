"""Intake's doors: partners' orders and evidence, the customer's page, and what operators put on file."""

from services.intake.api import afterwards, checks, confirmations, evidence, files, orders

routers = (orders.router, checks.router, afterwards.router, evidence.router, confirmations.router, files.router)
