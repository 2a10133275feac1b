"""Review's doors: JSON for programs."""

from services.review.api import cases

routers = (cases.router,)
