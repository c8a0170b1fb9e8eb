"""Settings: the only reader of the environment.

Names and defaults under "Prefect" are fixed by the product's specification. Every name is read
without a prefix and without regard to case, from the environment first, then from `.env`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024
GIB = 1024 * MIB
_BEATS_IN_A_LEASE = 3


class Settings(BaseSettings):
    """All settings of one process. Durations are seconds, sizes are bytes, unless a name says otherwise."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore")

    # --- where things are
    autoloader_home: Path = Field(
        default=Path("~/.autoloader"),
        description="Folder of the database, the local warehouse, the spool and the secret key.",
    )
    database_url: str = Field(
        default="",
        description="SQLAlchemy URL of the ledger database. Empty: SQLite in AUTOLOADER_HOME.",
    )
    autoloader_secret_key: SecretStr = Field(
        default=SecretStr(""),
        description="Key that encrypts stored secrets. Empty: a key file (mode 0600) in AUTOLOADER_HOME.",
    )
    log_level: str = Field(default="WARNING", description="Least level that is logged to standard error.")
    log_format: str = Field(default="text", description="`text` or `json`.")

    # --- Prefect (names and defaults of the specification)
    prefect_api_url: str = Field(
        default="http://prefect-server:4200/api", description="API of the self-hosted Prefect server."
    )
    prefect_default_work_queue: str = Field(default="autoloader-default", description="Work queue of ordinary runs.")
    prefect_high_memory_work_queue: str = Field(
        default="autoloader-high-memory", description="Work queue of runs that need much memory."
    )
    prefect_flow_run_timeout_seconds: int = Field(default=3600, description="Longest time of one flow run.", gt=0)
    prefect_task_retry_delay_seconds: int = Field(default=60, description="Pause before a task is tried again.", ge=0)
    prefect_max_task_retries: int = Field(default=3, description="How often Prefect retries a task.", ge=0)

    # --- Prefect, what the specification leaves to us
    prefect_api_auth_string: SecretStr = Field(
        default=SecretStr(""), description="`user:password` of the Prefect server. Empty: it asks for none."
    )
    prefect_work_pool: str = Field(default="autoloader", description="Work pool of our deployments.")
    prefect_request_timeout_seconds: float = Field(
        default=10.0, description="Longest single request to the Prefect server.", gt=0
    )
    reconcile_seconds: float = Field(
        default=30.0, description="Pause between two passes that bring Prefect back in step.", gt=0
    )
    reconcile_in_api: bool = Field(
        default=True,
        description="Whether the API process does it, and delivers triggers. Else: `autoloader prefect sync --watch`.",
    )
    prefect_pending_seconds: float = Field(
        default=120.0, description="A flow run that is PENDING for longer is taken for lost.", gt=0
    )
    trigger_keep_seconds: float = Field(
        default=7 * 24 * 3600.0,
        description="How long a stored wish for a run is kept after it became one, or never will.",
        ge=3600.0,
    )
    worker_limit: int = Field(default=4, description="Flow runs that one worker runs at once.", gt=0)
    worker_memory_bytes: int = Field(
        default=0, description="A flow run that uses more memory is killed. 0: no limit.", ge=0
    )

    # --- the API
    autoloader_api_host: str = Field(default="127.0.0.1", description="Address the API listens on.")
    autoloader_api_port: int = Field(default=4280, description="Port the API listens on.", gt=0, lt=65536)
    autoloader_api_key: SecretStr = Field(
        default=SecretStr(""),
        description="Key that calls of the API must carry. Needed wherever it listens on more than loopback. The"
        " commands send it to `AUTOLOADER_SERVER`.",
    )
    autoloader_server: str = Field(
        default="",
        description="URL of the API that the commands work with, such as `https://autoloader.example.com`. Empty: they"
        " work on the ledger of this machine.",
    )
    autoloader_prefect_port: int = Field(
        default=4200, description="Port of the Prefect server that `autoloader up` starts.", gt=0, lt=65536
    )
    arrival_poll_min_seconds: float = Field(
        default=5.0, description="Shortest pause between two listings of an arrival trigger.", gt=0
    )
    queue_concurrency: int = Field(default=8, description="SQS queues read at once.", gt=0)
    idempotency_keep_seconds: float = Field(
        default=24 * 3600.0, description="How long the answer to an Idempotency-Key is kept.", gt=0
    )

    # --- the lease (protocol, point 1)
    lease_seconds: float = Field(default=60.0, description="How long a lease lasts without a heartbeat.", gt=0)
    lease_heartbeat_seconds: float = Field(
        default=15.0, description="Pause between heartbeats; at most a third of `LEASE_SECONDS`.", gt=0
    )

    # --- bounds of a run
    batch_max_files: int = Field(default=10_000, description="Most files in one batch.", gt=0)
    batch_max_bytes: int = Field(default=2 * GIB, description="Most source bytes in one batch.", gt=0)
    embedded_max_files: int = Field(
        default=10_000, description="`engine: auto`: a batch of more files goes to the cluster.", gt=0
    )
    embedded_max_bytes: int = Field(
        default=1 * GIB, description="`engine: auto`: a batch of more source bytes goes to the cluster.", gt=0
    )
    high_memory_batch_bytes: int = Field(
        default=4 * GIB,
        description="`work_queue: auto`: an ingestion whose embedded batches may have more source bytes runs in the"
        " queue of high memory.",
        gt=0,
    )
    spool_max_bytes: int = Field(default=8 * GIB, description="Most bytes of remote files held on disk.", gt=0)
    fetch_concurrency: int = Field(default=32, description="Remote files fetched at once.", gt=0)
    list_concurrency: int = Field(default=8, description="Prefixes listed at once.", gt=0)
    list_page_size: int = Field(default=5_000, description="Objects in one page of a listing.", gt=0)
    parser_memory_bytes: int = Field(default=1 * GIB, description="Memory the parser may use.", gt=0)
    parser_threads: int = Field(default=0, description="Threads of the parser. 0: as many as there are cores.", ge=0)
    parser_timeout_seconds: float = Field(default=3600.0, description="Longest time of parsing one batch.", gt=0)
    parser_max_output_bytes: int = Field(
        default=64 * GIB, description="Most bytes (decompressed input or output) one batch may expand to.", gt=0
    )
    parser_max_expansion: int = Field(
        default=400, description="A compressed file that grows by more than this factor is quarantined.", gt=1
    )
    max_record_bytes: int = Field(default=16 * MIB, description="Longest single record (line) that is parsed.", gt=0)
    target_file_bytes: int = Field(default=512 * MIB, description="Size at which a data file is closed.", gt=0)
    min_age_seconds: float = Field(
        default=1.0,
        description="A local file modified less than this long ago is not loaded yet. A run waits up to 2 s for it.",
        ge=0,
    )
    max_attempts: int = Field(default=3, description="Attempts before a failing file is quarantined.", gt=0)
    commit_attempts: int = Field(default=20, description="Tries of one commit against a busy table.", gt=0)
    request_timeout_seconds: float = Field(default=30.0, description="Longest single request to a store.", gt=0)
    request_retries: int = Field(default=5, description="How often a request to a store is repeated.", ge=0)
    spark_silence_seconds: float = Field(
        default=120.0,
        description="A cluster that gives no sign of life for this long while it works is given up; the next run goes"
        " on.",
        ge=1,
    )
    snapshot_retention_seconds: float = Field(
        default=5 * 24 * 3600.0, description="Snapshots younger than this are never expired by us.", gt=0
    )
    inference_max_files: int = Field(default=20, description="Files sampled to infer a schema.", gt=0)
    inference_max_bytes: int = Field(default=64 * MIB, description="Bytes sampled to infer a schema.", gt=0)

    # --- tests only
    autoloader_failpoints: str = Field(
        default="", description="Named points at which a test stops the process. Never set this in production."
    )

    @field_validator("autoloader_home")
    @classmethod
    def _usable(cls, home: Path) -> Path:
        """What follows a `?` would be options of the database, which would lie in another place; for DuckDB a
        backslash parts folders.
        """
        wrong = [letter for letter in "?\\" if letter in str(home.expanduser().absolute())]
        if wrong:
            message = f"{home} cannot be used: it holds {' and '.join(wrong)}; name a folder without that"
            raise ValueError(message)
        return home

    @field_validator("lease_heartbeat_seconds")
    @classmethod
    def _beats_in_time(cls, pause: float, info: ValidationInfo) -> float:
        """A beat may be late or fail twice before somebody else takes the lease of a run that lives."""
        lease = info.data.get("lease_seconds")
        if lease is not None and pause * _BEATS_IN_A_LEASE > lease * (1 + 1e-9):
            message = f"{pause:g} is more than a third of LEASE_SECONDS ({lease:g}): lower it, or raise that"
            raise ValueError(message)
        return pause

    @property
    def home(self) -> Path:
        """AUTOLOADER_HOME with `~` expanded; absolute."""
        return self.autoloader_home.expanduser().absolute()

    @property
    def database_address(self) -> str:
        """The URL of the ledger database, the default filled in."""
        return self.database_url or f"sqlite:///{self.home / 'autoloader.db'}"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()


def environment_of_children(told: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, for one that it starts, with `told` in it.

    Variables that steer Prefect are left out, unless they are settings of ours: the profile, database or key of another
    server of the same person must not be met by accident. A Python that is started finds this very code, also from a
    folder that holds an `app` of its own.
    """
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    told = {"PYTHONPATH": path, "PYTHONSAFEPATH": "1", **told}
    ours, given = {name.upper() for name in Settings.model_fields}, {name.upper() for name in told}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() not in given and (name.upper() in ours or not name.upper().startswith("PREFECT_"))
    }
    return {**kept, **told}


_STORE_VARIABLES = {
    "s3": ("AWS", ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")),
    "az": ("AZURE", ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")),
    "gs": ("GOOGLE", ("GOOGLE_BASE_URL", "GOOGLE_STORAGE_BASE_URL")),
}


def ambient_http_allowed(kind: str) -> bool:
    """Whether the machine's own variables send a kind of store (`s3`, `az`, `gs`) to an endpoint without TLS.

    Either in so many words (`AWS_ALLOW_HTTP=true`), or by an endpoint that begins with `http://`.
    """
    prefix, endpoints = _STORE_VARIABLES[kind]
    told = os.environ.get(f"{prefix}_ALLOW_HTTP", "").strip().lower()
    if told:
        return told in {"1", "true", "yes", "on"}
    return any(os.environ.get(name, "").startswith("http://") for name in endpoints)
