"""What keys, grants, sessions and the audit log look like."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.api.schemas import Next
from service.store.audit import ACTIONS

Scope = Literal["ingest", "read", "figures", "admin"]
_Expires: Any = Field(None, description="when it ends by itself; null = never", examples=["2027-01-01T00:00:00Z"])
_Addresses: Any = Field(
    [], max_length=100, description="addresses or networks that it opens for; none = all", examples=[["192.0.2.0/24"]]
)
_Name: Any = Field("", max_length=200, description="what the key is for", examples=["crm"])


class NewKey(BaseModel):
    """The key that is wanted."""

    model_config = ConfigDict(extra="forbid")
    scopes: list[Scope] = Field(min_length=1, examples=[["ingest"]])
    name: str = _Name
    expires_at: datetime | None = _Expires
    addresses: list[str] = _Addresses


class KeyChange(BaseModel):
    """What is to be changed of a key; what is not given stays."""

    model_config = ConfigDict(extra="forbid")
    name: str = _Name
    expires_at: datetime | None = _Expires
    addresses: list[str] = _Addresses


class Key(BaseModel):
    """An API key as it may be shown."""

    id: str = Field(examples=["cl_aB3dE6fG-1a2b3c"], description="the first 11 characters of the key, and a number")
    name: str = Field(examples=["crm"])
    scopes: list[Scope]
    state: Literal["in force", "expired", "revoked"]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    addresses: list[str] = Field(description="networks that it opens for; none = all", examples=[["192.0.2.0/24"]])
    first_used_at: datetime | None = Field(description="null = never; written within seconds of the use")
    last_used_at: datetime | None
    last_used_from: str | None = Field(description="the address", examples=["192.0.2.7"])


class MadeKey(Key):
    """A new key, and its secret."""

    key: str = Field(description="the secret, which is shown this once", examples=["cl_…"])


class Keys(BaseModel):
    """The keys of a ledger."""

    items: list[Key]


class NewGrant(BaseModel):
    """What is to be granted, and to whom: a `subject` or a `group`."""

    model_config = ConfigDict(extra="forbid")
    issuer: str | None = Field(
        None, max_length=300, description="the OpenID provider as it calls itself, or `proxy`; null = the provider that is set",
        examples=["https://id.example.com"],
    )  # fmt: skip
    subject: str | None = Field(None, max_length=300, description="the `sub` of one person", examples=["248289761001"])
    group: str | None = Field(
        None, max_length=300, description="of the `groups` that the issuer tells", examples=["finance"]
    )
    scopes: list[Scope] = Field(min_length=1, examples=[["read"]])


class Grant(BaseModel):
    """What somebody who signs in with an issuer may do in this ledger."""

    id: str = Field(examples=["grant_0a1b2c3d4e5f"])
    issuer: str = Field(examples=["https://id.example.com"])
    subject: str | None
    group: str | None = Field(examples=["finance"])
    scopes: list[Scope]
    created_at: datetime


class Grants(BaseModel):
    """The grants of a ledger."""

    items: list[Grant]


class Session(BaseModel):
    """A browser that is signed in."""

    id: str = Field(examples=["ses_0a1b2c3d4e5f"])
    actor: str = Field(description="the key, or the subject and its issuer", examples=["cl_aB3dE6fG-1a2b3c"])
    address: str | None = Field(description="that it was begun from", examples=["192.0.2.7"])
    agent: str | None = Field(description="what the browser says that it is")
    created_at: datetime
    seen_at: datetime = Field(description="when it was used last, to some seconds")
    expires_at: datetime = Field(description="when it ends, if it is not used meanwhile")


class Sessions(BaseModel):
    """The sessions of a ledger that have not ended, newest first."""

    items: list[Session]


class Audited(BaseModel):
    """What somebody did. It is never changed and never goes."""

    id: int = Field(description="numbered by ledger without gaps", examples=[17])
    at: datetime
    actor: str = Field(
        description="a key, a person and their issuer, `cli:` and a user, or `service`", examples=["cl_aB3dE6fG-1a2b3c"]
    )
    action: str = Field(
        examples=["key.created"], description="; ".join(f"`{name}`: {told}" for name, told in ACTIONS.items())
    )
    object: str | None = Field(description="what it was done to", examples=["cl_hI7jK9lM-4d5e6f"])
    address: str | None = Field(description="that it was asked from", examples=["192.0.2.7"])
    request_id: str | None = Field(description="the `X-Request-Id` of the request")
    details: dict[str, Any] = Field(examples=[{"name": "crm", "scopes": ["ingest"]}])


class Audit(BaseModel):
    """A page of the audit log, newest first."""

    items: list[Audited]
    next: str | None = Next
