"""Runs the catalogue."""

from services.catalogue import api
from services.catalogue.settings import Settings
from services.chassis.service import Service

if __name__ == "__main__":
    Service("catalogue", Settings(), routers=(api.router,)).run()
