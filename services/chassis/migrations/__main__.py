"""Writes a migration: ``DATABASE_URL=… python -m services.chassis.migrations SERVICE "what changes"``."""

import asyncio
import os
import sys

from services.chassis.migrations import revise

if __name__ == "__main__":
    asyncio.run(revise(sys.argv[1], os.environ["DATABASE_URL"], sys.argv[2]))
