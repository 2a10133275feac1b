"""Runs intake."""

from services.chassis.service import Service
from services.chassis.settings import Settings
from services.intake import api, handlers

if __name__ == "__main__":
    Service("intake", Settings(), handlers=handlers, routers=api.routers).run()
