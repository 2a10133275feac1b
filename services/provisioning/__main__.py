"""Runs provisioning."""

from services.chassis.service import Service
from services.provisioning import api, handlers
from services.provisioning.settings import Settings

if __name__ == "__main__":
    Service("provisioning", Settings(), handlers=handlers, routers=(api.router,)).run()
