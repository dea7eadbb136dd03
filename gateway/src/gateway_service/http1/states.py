"""The states of a client's connection, and the transitions between them.

Each wait has a state of its own, so a bound on it has one place: the state's case in
`ClientConnection.on_deadline` for time, and in `data_received` for bytes.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final


class State(Enum):
    """What the connection waits for, and what it does with received bytes."""

    OPENING = "opening"
    """The connection was accepted; its TLS handshake may go on."""
    IDLE = "idle"
    """Nothing of a request has been received."""
    HEAD = "head"
    """A request's head has begun."""
    BODY = "body"
    """A request is handled while its body is received."""
    BODY_QUEUED = "body queued"
    """The same; more of it is held, and read in a later turn of the loop."""
    LAST_BODY = "last body"
    """A request is handled whose body is held; the client has ended its sending."""
    BROKEN = "broken"
    """A request with an incomplete body is handled; received bytes are dropped."""
    TRUNCATED = "truncated"
    """The same, and the client sends no more."""
    RESPONSE = "response"
    """A complete request is handled; received bytes are held."""
    LAST_RESPONSE = "last response"
    """The same, and the client has ended its sending half; it may be gone."""
    QUEUED = "queued"
    """Further requests are held, and read in a later turn of the loop."""
    LAST_QUEUED = "last queued"
    """The same, and the client sends no more."""
    BLOCKED = "blocked"
    """Further requests are held until the client takes the responses it has."""
    LAST_BLOCKED = "last blocked"
    """The same, and the client sends no more."""
    TUNNEL = "tunnel"
    """Received bytes belong to another protocol."""
    TUNNEL_ENDED = "tunnel ended"
    """The same, and the client sends no more."""
    LINGER = "linger"
    """The last response was sent; received bytes are dropped."""
    CLOSED = "closed"
    """Nothing more is read; what was written may be on its way."""

    __hash__ = object.__hash__  # Enum's own is a call; this is looked up per request


class Event(Enum):
    """What moves a connection from one state to another."""

    OPENED = "bytes may be received"
    HEAD_BEGUN = "the first bytes of a head were received"
    HEAD_READ = "a head was received whose body follows"
    REQUEST_READ = "a complete request was received"
    BODY_HELD = "more of a body was received than is read in one turn of the loop"
    BODY_FAILED = "the body is malformed, or too late"
    RESPONDED = "a response was sent, and nothing else was received"
    RESPONDED_WITH_MORE = "a response was sent, and further requests are held"
    CLIENT_SLOW = "the client leaves responses unread"
    CLIENT_CAUGHT_UP = "the client has taken its responses"
    NEXT_TURN = "what is held may be read"
    TUNNEL_OPENED = "the protocol was switched"
    CLIENT_ENDED = "the client ended its sending half"
    LAST_SENT = "the last response was sent to a client that may still send"
    CLOSED = "the connection was closed"

    __hash__ = object.__hash__


TRANSITIONS: Final[Mapping[Event, Mapping[State, State]]] = {
    Event.OPENED: {State.OPENING: State.IDLE},
    Event.HEAD_BEGUN: {State.IDLE: State.HEAD},
    Event.HEAD_READ: {
        State.IDLE: State.BODY,
        State.HEAD: State.BODY,
        State.LAST_QUEUED: State.LAST_BODY,
    },
    Event.REQUEST_READ: {
        State.IDLE: State.RESPONSE,
        State.HEAD: State.RESPONSE,
        State.BODY: State.RESPONSE,
        State.LAST_QUEUED: State.LAST_RESPONSE,
        State.LAST_BODY: State.LAST_RESPONSE,
    },
    Event.BODY_HELD: {State.BODY: State.BODY_QUEUED, State.LAST_BODY: State.LAST_BODY},
    Event.BODY_FAILED: {
        State.BODY: State.BROKEN,
        State.BODY_QUEUED: State.BROKEN,
        State.LAST_BODY: State.TRUNCATED,
    },
    Event.RESPONDED: {State.RESPONSE: State.IDLE},
    Event.RESPONDED_WITH_MORE: {
        State.RESPONSE: State.QUEUED,
        State.LAST_RESPONSE: State.LAST_QUEUED,
    },
    Event.CLIENT_SLOW: {
        State.IDLE: State.BLOCKED,
        State.HEAD: State.BLOCKED,
        State.QUEUED: State.BLOCKED,
        State.LAST_QUEUED: State.LAST_BLOCKED,
    },
    Event.CLIENT_CAUGHT_UP: {
        State.BLOCKED: State.QUEUED,
        State.LAST_BLOCKED: State.LAST_QUEUED,
    },
    Event.NEXT_TURN: {
        State.QUEUED: State.IDLE,
        State.LAST_QUEUED: State.LAST_QUEUED,
        State.BODY_QUEUED: State.BODY,
        State.LAST_BODY: State.LAST_BODY,
    },
    Event.TUNNEL_OPENED: {
        State.RESPONSE: State.TUNNEL,
        State.LAST_RESPONSE: State.TUNNEL_ENDED,
    },
    Event.CLIENT_ENDED: {
        State.IDLE: State.CLOSED,
        State.HEAD: State.CLOSED,
        State.BODY: State.LAST_BODY,
        State.BODY_QUEUED: State.LAST_BODY,
        State.BROKEN: State.TRUNCATED,
        State.RESPONSE: State.LAST_RESPONSE,
        State.QUEUED: State.LAST_QUEUED,
        State.BLOCKED: State.LAST_BLOCKED,
        State.TUNNEL: State.TUNNEL_ENDED,
        State.LINGER: State.CLOSED,
        State.CLOSED: State.CLOSED,
    },
    Event.LAST_SENT: {
        State.IDLE: State.LINGER,
        State.HEAD: State.LINGER,
        State.BODY: State.LINGER,
        State.BODY_QUEUED: State.LINGER,
        State.BROKEN: State.LINGER,
        State.RESPONSE: State.LINGER,
        State.TUNNEL: State.LINGER,
    },
    Event.CLOSED: dict.fromkeys(State, State.CLOSED),
}
"""By event: the state that follows each state in which it can happen."""
