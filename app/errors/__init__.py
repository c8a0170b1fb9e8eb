"""Every error a person can meet, in one tree, and the end that is none.

AutoloaderError
├── InvalidInput                 what was asked for cannot be right        422
│   ├── InvalidSchemaText        a schema text that does not parse
│   ├── InvalidTableName
│   ├── ConfigUnreadable         an ingestion's stored configuration
│   └── KeyReused                an Idempotency-Key came with another call
├── NotFound                     no ingestion, run, file, ... by that name 404
├── Conflict                     right in itself, wrong now                409
│   ├── AlreadyUp                `autoloader up` runs for this home already
│   ├── PortTaken                something else listens there
│   ├── LeaseHeld                another run is active
│   ├── IllegalTransition        the state machine refuses the move
│   ├── IngestionBlocked         a batch is UNKNOWN; a person must decide
│   ├── CallInProgress           the same call is being answered; retry helps
│   ├── NotConfirmed             what was seen before confirming has changed
│   ├── NotOffered               it cannot be done without risk to the rows
│   └── StaleRevision            it was changed since it was read          412
├── CallRefused                  how the call came, not what it asks for
│   ├── MalformedCall            the body cannot be read                   400
│   ├── NotAuthenticated         no key, or a wrong one                    401
│   ├── CrossSite                a page of another site sent it            403
│   ├── MethodNotAllowed                                                   405
│   ├── CallTooLarge                                                       413
│   ├── UnsupportedMediaType                                               415
│   ├── WrongHost                a name that is not the API's              421
│   └── TooBusy                  retry helps                               429
├── LeaseLost                    another owner runs this ingestion now     409
├── DatabaseError                                                          503
│   ├── DatabaseUnavailable      retry helps
│   └── DatabaseNotMigrated
├── SourceError                                                            502
│   ├── SourceNotFound           bucket or folder
│   ├── SourceAccessDenied
│   ├── SourceUnavailable        retry helps
│   │   └── ObjectUnavailable    of one object; where others are served, that one is at fault
│   ├── AllRejected              not one record of the files could be loaded  422
│   ├── FileMissing              listed, then gone
│   └── FileChanged              listed, then another version
├── CatalogError                                                           502
│   ├── CatalogUnavailable       retry helps
│   ├── CatalogRefused           credentials that are wrong, expired, or may not
│   ├── CatalogNotFound          the cluster has none of that name
│   ├── TableNotFound
│   ├── TableChanged             dropped, recreated, or its columns changed type
│   ├── CommitConflict           main moved; look, then try again
│   ├── CommitUnknown            the answer was lost; only the table knows
│   └── LandingIncomplete        a batch landed; its receipt or rejects are gone
├── SparkError                   the cluster cannot do what it was asked   502
│   ├── SparkUnavailable         retry helps                               503
│   ├── SparkRefused             the token, no right to it, no Spark there, or no library for it
│   ├── SparkSessionLost         the server forgot it; retry helps
│   ├── SparkInterrupted         the operation was ended from outside      409
│   └── SparkJobFailed           a job failed there, and named no file
├── QueueError                                                             502
│   ├── QueueUnavailable         retry helps                               503
│   └── QueueRefused             no such queue, no right to it, or no library for it
├── PrefectError                                                           502
│   ├── PrefectUnavailable       retry helps                               503
│   └── PrefectRefused           the server said no; the same again is refused again
├── ServerError                  the Autoloader that a command works with  502
│   ├── ServerUnavailable        retry helps                               503
│   ├── NotAutoloader            something else answers there
│   └── VersionMismatch          it is of another version
├── SchemaChangeRefused          new columns under `fail`                  409
├── TooManyErrors                the threshold of `on_error` was passed    409
├── ParserDied                   the parsing child crashed or hit a limit  500
├── PreloadFailed                the worker cannot import the flow         500
├── PartFailed                   a part of `autoloader up` does not start  500
├── OutputRefused                a command's standard output cannot be written  500
└── SecretUnreadable             wrong or missing AUTOLOADER_SECRET_KEY    500

Interrupted                      Ctrl-C or SIGTERM                         499
"""

from __future__ import annotations

from app.errors.asked import AlreadyUp as AlreadyUp
from app.errors.asked import CallInProgress as CallInProgress
from app.errors.asked import ConfigUnreadable as ConfigUnreadable
from app.errors.asked import Conflict as Conflict
from app.errors.asked import IllegalTransition as IllegalTransition
from app.errors.asked import IngestionBlocked as IngestionBlocked
from app.errors.asked import InvalidInput as InvalidInput
from app.errors.asked import InvalidSchemaText as InvalidSchemaText
from app.errors.asked import InvalidTableName as InvalidTableName
from app.errors.asked import KeyReused as KeyReused
from app.errors.asked import LeaseHeld as LeaseHeld
from app.errors.asked import NotConfirmed as NotConfirmed
from app.errors.asked import NotFound as NotFound
from app.errors.asked import NotOffered as NotOffered
from app.errors.asked import PortTaken as PortTaken
from app.errors.asked import StaleRevision as StaleRevision
from app.errors.calls import CallRefused as CallRefused
from app.errors.calls import CallTooLarge as CallTooLarge
from app.errors.calls import CrossSite as CrossSite
from app.errors.calls import MalformedCall as MalformedCall
from app.errors.calls import MethodNotAllowed as MethodNotAllowed
from app.errors.calls import NotAuthenticated as NotAuthenticated
from app.errors.calls import TooBusy as TooBusy
from app.errors.calls import UnsupportedMediaType as UnsupportedMediaType
from app.errors.calls import WrongHost as WrongHost
from app.errors.data import AllRejected as AllRejected
from app.errors.data import CatalogError as CatalogError
from app.errors.data import CatalogNotFound as CatalogNotFound
from app.errors.data import CatalogRefused as CatalogRefused
from app.errors.data import CatalogUnavailable as CatalogUnavailable
from app.errors.data import CommitConflict as CommitConflict
from app.errors.data import CommitUnknown as CommitUnknown
from app.errors.data import FileChanged as FileChanged
from app.errors.data import FileMissing as FileMissing
from app.errors.data import LandingIncomplete as LandingIncomplete
from app.errors.data import ObjectUnavailable as ObjectUnavailable
from app.errors.data import SourceAccessDenied as SourceAccessDenied
from app.errors.data import SourceError as SourceError
from app.errors.data import SourceNotFound as SourceNotFound
from app.errors.data import SourceUnavailable as SourceUnavailable
from app.errors.data import TableChanged as TableChanged
from app.errors.data import TableNotFound as TableNotFound
from app.errors.root import AutoloaderError as AutoloaderError
from app.errors.root import Interrupted as Interrupted
from app.errors.servers import NotAutoloader as NotAutoloader
from app.errors.servers import PrefectError as PrefectError
from app.errors.servers import PrefectRefused as PrefectRefused
from app.errors.servers import PrefectUnavailable as PrefectUnavailable
from app.errors.servers import QueueError as QueueError
from app.errors.servers import QueueRefused as QueueRefused
from app.errors.servers import QueueUnavailable as QueueUnavailable
from app.errors.servers import ServerError as ServerError
from app.errors.servers import ServerUnavailable as ServerUnavailable
from app.errors.servers import VersionMismatch as VersionMismatch
from app.errors.spark import SparkError as SparkError
from app.errors.spark import SparkInterrupted as SparkInterrupted
from app.errors.spark import SparkJobFailed as SparkJobFailed
from app.errors.spark import SparkRefused as SparkRefused
from app.errors.spark import SparkSessionLost as SparkSessionLost
from app.errors.spark import SparkUnavailable as SparkUnavailable
from app.errors.work import DatabaseError as DatabaseError
from app.errors.work import DatabaseNotMigrated as DatabaseNotMigrated
from app.errors.work import DatabaseUnavailable as DatabaseUnavailable
from app.errors.work import LeaseLost as LeaseLost
from app.errors.work import OutputRefused as OutputRefused
from app.errors.work import ParserDied as ParserDied
from app.errors.work import PartFailed as PartFailed
from app.errors.work import PreloadFailed as PreloadFailed
from app.errors.work import SchemaChangeRefused as SchemaChangeRefused
from app.errors.work import SecretUnreadable as SecretUnreadable
from app.errors.work import TooManyErrors as TooManyErrors
