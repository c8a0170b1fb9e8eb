"""Spark Connect: sessions on clusters, their faults in our words, SQL text. The only home of its client.

The client's library is an extra, `iomete-autoloader[spark]`, and imported with the first session.
"""

from __future__ import annotations

from app.spark.endpoint import Endpoint, endpoint_of, parse_url
from app.spark.faults import VIEW, spark_errors
from app.spark.files import FileAccess
from app.spark.pool import SESSIONS, SessionPool
from app.spark.probe import ClusterStep, probe
from app.spark.session import Session, connect, interrupt
from app.spark.sql import identifier, literal
from app.spark.stores import file_access

__all__ = [
    "SESSIONS",
    "VIEW",
    "ClusterStep",
    "Endpoint",
    "FileAccess",
    "Session",
    "SessionPool",
    "connect",
    "endpoint_of",
    "file_access",
    "identifier",
    "interrupt",
    "literal",
    "parse_url",
    "probe",
    "spark_errors",
]
