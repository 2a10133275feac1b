"""What an operator puts on file: partners with their agents, customers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict

from contracts.customer_v1 import Customer, CustomerRecorded, Language
from services.chassis.http import transact
from services.chassis.keys import Principal, allow
from services.chassis.transaction import Transaction
from services.intake import store
from services.intake.api.body import Text
from services.intake.store import CustomerRow, PartnerRow

router = APIRouter(tags=["files"])

Operator = Annotated[Principal, Depends(allow("operator"))]


class PartnerForm(BaseModel):
    """A call-centre's registered agents; `contacts` are addresses and numbers of theirs, and no customer's."""

    model_config = ConfigDict(extra="forbid")

    agents: list[Text]
    contacts: list[Text] = []


class CustomerFile(BaseModel):
    """A customer's contact as on file."""

    model_config = ConfigDict(extra="forbid")

    name: Text
    email: Text
    phone: Text
    language: Language


@router.put("/v1/partners/{partner_id}")
async def put_partner(partner_id: str, form: PartnerForm, request: Request, _: Operator) -> dict[str, Any]:
    """Register a partner's agents and their contacts; the lists replace the ones before."""

    async def keep(tx: Transaction) -> None:
        tx.put(PartnerRow(id=partner_id, agents=form.agents, contacts=form.contacts))

    await transact(request, keep)
    return {"id": partner_id, **form.model_dump()}


@router.put("/v1/customers/{customer_id}")
async def put_customer(customer_id: str, form: CustomerFile, request: Request, _: Operator) -> dict[str, Any]:
    """Put a customer on file, or change the file."""
    customer = Customer(id=customer_id, **form.model_dump())

    async def keep(tx: Transaction) -> None:
        known = await tx.get(CustomerRow, customer_id)
        if known is None or known.customer != customer:
            await store.file(tx, CustomerRow(id=customer_id, customer=customer))
            tx.publish(CustomerRecorded(customer=customer))

    await transact(request, keep)
    return customer.model_dump()
