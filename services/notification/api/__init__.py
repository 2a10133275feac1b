"""Notification's doors."""

from services.notification.api.notices import router

__all__ = ["router"]
