"""Which object stores a cluster can read: whether the classes of their file systems are on its driver."""

from __future__ import annotations

from app.errors import AutoloaderError
from app.spark.session import Session
from app.spark.sql import literal
from app.spark.stores import ABFS, GCS, S3A

# Store, class, and what brings it.
_STORES = (
    ("s3://", S3A, "hadoop-aws"),
    ("az://", ABFS, "hadoop-azure"),
    ("gs://", GCS, "gcs-connector"),
)
_NO_METHOD = "UNEXPECTED_STATIC_METHOD"
_NO_CLASS = "UNEXPECTED_CLASS_TYPE"


def stores_told(session: Session) -> str:
    """A sentence on the stores: those that are there, and the libraries of those that are not."""
    there, away, unknown = ["folders"], list[str](), list[str]()
    for store, class_name, library in _STORES:
        known = _is_there(session, class_name)
        if known:
            there.append(store)
        else:
            (unknown if known is None else away).append(f"{store} ({library})")
    parts = [f"It reads {', '.join(there)}"]
    parts += [f"it lacks the library for {', '.join(away)}"] if away else []
    parts += [f"it does not tell of {', '.join(unknown)}"] if unknown else []
    return f"{'; '.join(parts)}."


def _is_there(session: Session, class_name: str) -> bool | None:
    """Whether Spark finds the class; None where it does not tell. No class has the method that is asked for: a class
    that is there is told by that.
    """
    try:
        session.rows(f"SELECT java_method({literal(class_name)}, 'autoloader')")
    except AutoloaderError as error:
        said = error.message
        return True if _NO_METHOD in said else False if _NO_CLASS in said else None
    return None
