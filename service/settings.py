"""Settings: every one is an environment variable `CAMPAIGN_LEDGER_<NAME>`, with a default that works."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an operator can set. Sizes are in bytes, times in seconds, unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="CAMPAIGN_LEDGER_", extra="ignore", frozen=True)

    database_url: str | None = Field(
        None, description="PostgreSQL 15 or newer; without it, the embedded server is used"
    )
    data_dir: Path | None = Field(
        None, description="where the embedded server keeps its data; default: the XDG data directory"
    )
    bootstrap_key: str | None = Field(None, min_length=16, description="an API key with all scopes on ledger `default`")
    pool_size: int = Field(10, ge=2, le=200, description="database connections of one process")
    statement_timeout: float = Field(60.0, gt=0, description="seconds after which the database ends a statement")

    open_ledger: str | None = Field(
        None,
        description="the name of a ledger whose page anybody on this machine may see, as the demo's; none by default",
    )
    operator_token: SecretStr | None = Field(
        None, min_length=16, description="opens /metrics of all ledgers; a ledger's own keys see their ledger's"
    )

    max_connections: int = Field(2_000, ge=16, description="of one process; who has waited longest has to go")
    max_head_bytes: int = Field(65_536, ge=4_096, description="of a request's URL and headers together")
    request_timeout: float = Field(30.0, gt=0, description="for a request's head, and for every 8 KiB of its body")
    bodies_bytes: int = Field(
        256 * 1024 * 1024, ge=1024, description="that the bodies in hand may take before 503; half of it for one ledger"
    )
    reads_at_once: int = Field(
        4, ge=1, description="reads that one process works out at a time; half of them of one key"
    )
    read_wait: float = Field(10.0, ge=0, description="how long a read waits for its turn before 503")
    max_body_bytes: int = Field(8 * 1024 * 1024, ge=1024, description="of a request that is not NDJSON")
    max_line_bytes: int = Field(1024 * 1024, ge=1024, description="of one NDJSON line, which is one event")
    max_batch_items: int = Field(10_000, ge=1, description="events in one JSON batch; NDJSON has no such limit")
    max_json_depth: int = Field(32, ge=2, le=200, description="nesting of objects and lists in one event")
    max_string_length: int = Field(65_536, ge=200, description="characters of one string in one event")
    append_queue_events: int = Field(
        50_000, ge=1, description="events of one ledger that may wait to be stored before 503"
    )
    append_queue_bytes: int = Field(
        128 * 1024 * 1024, ge=1024, description="that waiting events may take before 503; half of it for one ledger"
    )
    append_batch_events: int = Field(2_000, ge=1, description="events of waiting requests stored in one transaction")

    min_position_timeout: float = Field(5.0, ge=0, description="how long a read waits for `min_position` before 503")
    projection_batch: int = Field(5_000, ge=1, description="events projected in one transaction at most")
    rebuild_batch: int = Field(50_000, ge=1, description="events rebuilt in one transaction at most")
    projection_poll: float = Field(0.5, gt=0, description="seconds between looks for events appended elsewhere")
    lease_seconds: float = Field(10.0, gt=0, description="how long a worker holds a ledger without a sign of life")
    ready_lag_events: int = Field(100_000, ge=0, description="projection lag from which on /readyz says no")
    ready_lag_seconds: float = Field(60.0, gt=0, description="wait of the next event from which on /readyz says no")
    master_key: SecretStr | None = Field(
        None, description="encrypts the secrets of sources; the first of several encrypts"
    )
    public_url: str | None = Field(
        None, pattern="^https?://", description="how senders reach the service, as in https://ledger.example.com"
    )
    source_rate_per_minute: int = Field(6_000, ge=1, description="requests of one source that sets no limit of its own")
    key_rate_per_minute: int = Field(0, ge=0, description="requests of one API key; 0 = no limit")
    retention_days: int = Field(90, ge=1, description="days that what senders posted is kept as it came")
    rejected_hours: int = Field(24, ge=1, description="hours that a delivery with a wrong signature is kept")
    quarantine_days: int = Field(
        365, ge=1, description="days that a resolved or dismissed item is kept; one that waits stays until it is either"
    )
    overdue_days: int = Field(
        30, ge=0, le=36_500, description="days after which completeness tells what waits as overdue, too"
    )
    private_hosts: list[str] = Field(
        [], description="hosts, as host or host:port, that records may be read back from though not public, as JSON"
    )
    smtp_host: str | None = Field(None, description="the server that mails go by; without it none are sent")
    smtp_port: int = Field(587, ge=1, le=65_535, description="of that server")
    smtp_security: str = Field("starttls", pattern="^(starttls|tls|none)$", description="starttls, tls or none")
    smtp_user: str | None = Field(None, description="who signs in there; without a user, nobody does")
    smtp_password: SecretStr | None = Field(None, description="of that user")
    mail_from: str = Field("campaign-ledger@localhost", pattern=r"^[^\r\n]+$", description="whom mails are from")
    kept_answers_bytes: int = Field(32 * 1024 * 1024, ge=0, description="of answers to reads kept for who asks again")
    cors_origins: list[str] = Field([], description="origins whose pages may read, as a JSON list; none by default")
    session_idle_minutes: int = Field(480, ge=1, description="after which a session that is not used ends")
    session_hours: int = Field(168, ge=1, description="after which a session ends, used or not")
    sign_ins_per_minute: int = Field(10, ge=1, description="attempts to sign in from one address before 429")
    oidc_issuer: str | None = Field(
        None,
        pattern="^https?://",
        description="of the OpenID provider that people may sign in with, as it calls itself",
    )
    oidc_client_id: str | None = Field(None, min_length=1, description="by which the provider knows this service")
    oidc_client_secret: SecretStr | None = Field(None, min_length=1, description="that the provider gave for it")
    proxies: list[str] = Field(
        [],
        description="networks, as a JSON list, whose X-Forwarded-For and X-Forwarded-Proto are believed; none by default",
    )
    proxy_user_header: str | None = Field(
        None, pattern=r"^[A-Za-z0-9-]+$", description="in which these proxies tell who has signed in with them"
    )
    proxy_groups_header: str | None = Field(
        None, pattern=r"^[A-Za-z0-9-]+$", description="in which they tell the groups, divided by commas"
    )
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    @model_validator(mode="after")
    def _sign_in_is_whole(self) -> Self:
        """Refuse half of a way to sign in: it would be open to nobody, or to everybody."""
        given = [self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret]
        if any(given) and not all(given):
            raise ValueError("oidc_issuer, oidc_client_id and oidc_client_secret go together: set all three or none")
        if self.proxy_user_header and not self.proxies:
            raise ValueError("proxy_user_header needs proxies, the addresses that it is believed from")
        for one in self.proxies:
            ip_network(one)
        return self
