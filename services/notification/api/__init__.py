"""Notification's doors: contacts of partners, what was told to whom, and partners' webhooks."""

from services.notification.api import notices, webhooks

routers = (notices.router, webhooks.router)
