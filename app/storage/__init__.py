"""Folders and object stores behind one face; the only home of the object-store library.

    open_store(url, options) ──► Store ──┬─ LocalStore    os.scandir, plain file reads
                                         └─ RemoteStore   S3, Azure Blob, Google Cloud Storage

Addresses are raw: what a listing answers is what `fetch` takes, with no encoding in between.
"""

from app.storage.address import Address, join, parse_address
from app.storage.contract import FetchFault, FetchJob, ObjectInfo, Store
from app.storage.keys import is_plain
from app.storage.opening import open_store
from app.storage.options import read_options
from app.storage.probing import ProbeStep, check

__all__ = [
    "Address",
    "FetchFault",
    "FetchJob",
    "ObjectInfo",
    "ProbeStep",
    "Store",
    "check",
    "is_plain",
    "join",
    "open_store",
    "parse_address",
    "read_options",
]
