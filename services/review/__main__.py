"""Runs review."""

from services.chassis.service import Service
from services.review import api, handlers
from services.review.settings import Settings

if __name__ == "__main__":
    Service("review", Settings(), handlers=handlers, routers=api.routers).run()
