"""Review's doors: JSON for programs, pages for people."""

from services.review.api import cases, groups, pages, rendering, session

routers = (cases.router, session.router, pages.router, groups.router, rendering.router)
