"""Review as a person at the queue meets it: the running service, keys, and the doors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import httpx
from aiokafka import TopicPartition

from contracts.event import Event
from contracts.order_v1 import Order
from contracts.topics import BY_EVENT
from services.chassis.service import Service
from tests.harness import OPERATOR_KEY, Publish, door, eventually, make_key
from tests.review import samples

REVIEWERS: dict[str, list[str]] = {"rita": [], "ben": ["gent-calls"], "carl": []}


@dataclass
class Desk:
    """Rita, Ben (who also works for gent-calls) and Carl at the doors of a running review."""

    service: Service
    publish: Publish
    keys: dict[str, str]

    @classmethod
    async def opened(cls, service: Service, publish: Publish) -> Desk:
        """Make the reviewers' keys."""
        keys = {name: await make_key(service, "reviewer", name, works_for=at) for name, at in REVIEWERS.items()}
        return cls(service, publish, keys | {"operator": OPERATOR_KEY})

    async def caused(self, event: Event, by: str) -> str:
        """Publish an event as its writer does whom the event `by` caused to; returns its id."""
        envelope = replace(self.publish.envelope(event), causation_id=by)
        await self.publish.raw(BY_EVENT[type(event)].name, event.to_value(), event.key.encode(), envelope.headers())
        return envelope.id

    async def get(self, path: str, who: str = "rita", **params: Any) -> httpx.Response:
        async with door(self.service, self.keys[who]) as client:
            return await client.get(path, params=params)

    async def post(self, path: str, who: str = "rita", **body: Any) -> httpx.Response:
        async with door(self.service, self.keys[who]) as client:
            return await client.post(path, json=body)

    async def decide(self, case_id: str, decision: str, who: str = "rita", **body: Any) -> httpx.Response:
        return await self.post(f"/v1/cases/{case_id}/decisions", who, **{"decision": decision, "reason": "why"} | body)

    async def case(self, case_id: str, state: str | None = None) -> dict[str, Any]:
        """Wait for a case (in a state) and return it."""

        async def there() -> dict[str, Any] | None:
            answer = await self.get(f"/v1/cases/{case_id}")
            found = answer.json() if answer.status_code == 200 else None
            return found if found and state in (None, found["state"]) else None

        found: dict[str, Any] = await eventually(there)
        return found

    async def holds(self, order: Order, case_id: str, *codes: str) -> None:
        """Hold an order for its case, and wait until the case shows it."""
        await self.publish(samples.held(order, case_id, *codes))

        async def shown() -> bool:
            return (await self.case(case_id))["order"] is not None

        await eventually(shown)

    async def queue(self, **params: Any) -> list[dict[str, Any]]:
        answer = await self.get("/v1/cases", **params)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def caught_up(self) -> None:
        """Wait until review has handled all that is on the topics and published all that it decided."""

        async def quiet() -> bool:
            state = await self.service.readiness()
            return not (state["unsent_events"] or state["jobs"]["due"]) and await self._behind() == []

        await eventually(quiet)

    async def _behind(self) -> list[TopicPartition]:
        """The partitions with records that are not handled; a consumer's own lag knows only what it was told of."""
        kafka = self.service._subscriber.consumer
        ends = await kafka.end_offsets(kafka.assignment())
        return [each for each, end in ends.items() if (await kafka.committed(each) or 0) < end]
