"""Runs provisioning."""

from services.chassis.service import Service
from services.chassis.settings import Settings
from services.provisioning import api, handlers

if __name__ == "__main__":
    Service("provisioning", Settings(), handlers=handlers, routers=(api.router,)).run()
