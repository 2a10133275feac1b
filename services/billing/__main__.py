"""Runs billing."""

from services.billing import api, handlers
from services.chassis.service import Service
from services.chassis.settings import Settings

if __name__ == "__main__":
    Service("billing", Settings(), handlers=handlers, routers=(api.router,)).run()
