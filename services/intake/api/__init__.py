"""Intake's doors: partners' orders and evidence, the customer's page, and what operators put on file."""

from services.intake.api import answers, confirmations, evidence, files, orders

routers = (orders.router, answers.router, evidence.router, confirmations.router, files.router)
