"""The three routes. Each is a translation between HTTP and the service, one line each way."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response, status

from .models import ConversationEvent
from .schemas import ConversationEnd, EventAccepted, EventView, Health
from .service import ConversationService

router = APIRouter()


def current_service(request: Request) -> ConversationService:
    """Give the service that the lifespan has built (see `app.py`)."""
    service: ConversationService = request.state.service
    return service


Service = Annotated[ConversationService, Depends(current_service)]


@router.post(
    "/conversations/end", status_code=status.HTTP_202_ACCEPTED, response_model=EventAccepted
)
async def end_conversation(
    request: ConversationEnd, service: Service, response: Response
) -> ConversationEvent:
    """Report that a conversation is over; the answer does not wait for the publisher."""
    event = await service.end(request)
    response.headers["Location"] = f"/conversations/{event.id}"
    return event


@router.get("/conversations/{event_id}", response_model=EventView)
async def show_event(event_id: str, service: Service) -> ConversationEvent:
    """Show one event, and whether it has been published."""
    return await service.find(event_id)


@router.get("/health")
async def health(service: Service) -> Health:
    """Answer 200 while requests can be served."""
    return Health(backlog=await service.backlog())
