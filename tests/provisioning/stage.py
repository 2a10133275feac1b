"""One subscription of one test: orders for it go in, and what provisioning said about it comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from contracts.dead_letter_v1 import DiscrepancyFound
from contracts.event import Event
from contracts.offer_v1 import Offer
from contracts.order_v1 import Order
from contracts.subscription_v1 import ChangeCancelled, Subscription
from services.chassis.database import JobRow, Outbox
from services.chassis.service import Service
from services.provisioning.store import ChangeRow, OfferRow
from tests.harness import OPERATOR_KEY, Publish, Topics, door, eventually
from tests.provisioning.network import Network
from tests.provisioning.samples import TRIO, cancelled, confirmed, order, trio

IMPORT = {
    "customer_id": "cust-1001",
    "offer": {"code": "TRIO", "version": 1},
    "channel": "telesales",
    "sold_at": "2026-04-01T10:00:00Z",
    "equipment": [{"type": "decoder", "serial": "D-1"}],
    "numbers": ["+3287000001"],
    "contract_since": "2026-04-01",
}


@dataclass
class Stage:
    """Provisioning, its network, and one subscription `sub`."""

    service: Service
    network: Network
    publish: Publish
    topics: Topics
    sub: str

    def order(self, action: str = "modify", to: Offer | None = TRIO, **changes: Any) -> Order:
        """Make an order for this subscription."""
        return order(action, to, **({"id": f"order-of-{self.sub}", "subscription_id": self.sub} | changes))

    async def confirm(self, what: Order, attempt: int = 1) -> None:
        """Let intake say that the customer said yes."""
        await self.publish(confirmed(what, attempt))

    async def cancel(self, what: Order) -> None:
        """Let intake ask to stop an order."""
        await self.publish(cancelled(what))

    async def have_trio(self) -> Subscription:
        """Import the subscription of the samples."""
        async with door(self.service, OPERATOR_KEY) as client:
            answer = await client.put(f"/v1/subscriptions/{self.sub}", json=IMPORT)
        assert answer.status_code == 201, answer.text
        await self.said(1)
        return trio(id=self.sub)

    async def said(self, many: int) -> list[Event]:
        """Wait until so much was said about the subscription; returns all of it, oldest first."""

        async def enough() -> bool:
            return len(await self.so_far()) >= many

        await eventually(enough)
        return await self.so_far()

    async def so_far(self) -> list[Event]:
        """Return what was said about the subscription since the test began."""
        return await self.topics.events("subscriptions", self.sub)

    async def answer(self, nth: int = 1) -> Event:
        """Wait for the nth answer after the import, and return it."""
        return (await self.said(nth + 1))[nth]

    async def settled(self) -> list[Event]:
        """Wait until all that was published is handled and nothing is left to do; returns what was said till then."""
        fence = self.order(id=f"fence-of-{self.sub}-{len(await self.so_far())}")
        await self.cancel(fence)
        last = ChangeCancelled(order_id=fence.id, subscription_id=self.sub)

        async def handled() -> bool:
            return last in await self.so_far() and not await self.count(JobRow) and not await self.count(Outbox)

        await eventually(handled)
        return [each for each in await self.so_far() if not getattr(each, "order_id", "").startswith("fence")]

    async def cases(self) -> list[DiscrepancyFound]:
        """Return the cases of the subscription so far."""
        found = await self.topics.events("dead-letters", self.sub)
        return [each for each in found if isinstance(each, DiscrepancyFound)]

    async def state(self, what: Order) -> Any:
        """Where the change of an order stands."""
        return await self.scalar(select(ChangeRow.state).where(ChangeRow.order_id == what.id))  # type: ignore[call-overload]

    async def offers_are_here(self, many: int) -> None:
        """Wait until provisioning's own copy has so many versions."""

        async def enough() -> bool:
            return await self.count(OfferRow) >= many

        await eventually(enough)

    async def count(self, table: type[Any]) -> int:
        """How many rows a table has."""
        return int(await self.scalar(select(func.count()).select_from(table)))

    async def scalar(self, statement: Any) -> Any:
        """Read one value from provisioning's database."""
        async with self.service.engine.connect() as connection:
            return await connection.scalar(statement)

    async def shown(self, role_key: str = OPERATOR_KEY) -> dict[str, Any]:
        """What the door shows of the subscription."""
        async with door(self.service, role_key) as client:
            answer = await client.get(f"/v1/subscriptions/{self.sub}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())
