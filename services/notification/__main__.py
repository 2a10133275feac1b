"""Runs notification."""

from services.chassis.service import Service
from services.notification import api, handlers
from services.notification.settings import Settings

if __name__ == "__main__":
    Service("notification", Settings(), handlers=handlers, routers=api.routers).run()
