"""Messages for MongoDB's error codes: https://www.mongodb.com/docs/manual/reference/error-codes/."""

from __future__ import annotations

from backends.failures import COLLISION, Failure, ProductTerms

TERMS = ProductTerms(
    product="MongoDB",
    tls="tls=true",
    certificates="tls=true&tlsCAFile=/path/to/file",
    client_certificate="tlsCertificateKeyFile=/path/to/file",
)

_ROLE = "give the user of DATABASE_URL the roles readWrite and dbAdmin on the database"
_ACCOUNT = (
    "check both in DATABASE_URL, and authSource, the database that the user is in (without it, the one "
    "that the URL names); characters such as @ : / ? # % must be percent-encoded"
)
_ANOTHER_PLACE = "give EitherDB a database of its own"
_MIGRATE = "run `eitherdb migrate upgrade`, and check the database's name in DATABASE_URL"
_BY_HAND = "`eitherdb migrate check` shows what was changed by hand"
_TRY_AGAIN = "try again; rs.status() shows the members"
_NETWORK = "check the network between the members of the replica set"
_VERSION = "check the server's version and its featureCompatibilityVersion"
_PRIMARY = Failure("unavailable", "the server is not the primary", _TRY_AGAIN)
_SHUTDOWN = Failure("unavailable", "the server is shutting down", _TRY_AGAIN)
_SLOW = Failure(
    "unavailable",
    "a command took too long",
    "raise DB_COMMAND_TIMEOUT_SECONDS, or see db.currentOp() for what keeps the server busy",
)
_UNREACHABLE = Failure("unavailable", "the server can't reach another one", _NETWORK)
_MEMBERS = Failure(
    "unavailable",
    "no majority of the replica set confirmed a write",
    "bring its members back; rs.status() shows them",
)
_INDEX = Failure("failed", "an index of this name or these keys already exists", _BY_HAND)
_MEMORY = Failure("unavailable", "the server is out of memory", "give it more")
_BUSY = Failure("unavailable", "the server allows no more requests now", "raise its limit, or send fewer")
_UNSUPPORTED = Failure("failed", "the server can't do this", _VERSION)

FAILURES: dict[int, Failure] = {
    # Conflicts
    112: COLLISION,  # WriteConflict
    251: COLLISION,  # NoSuchTransaction: the server aborted it
    24: COLLISION,  # LockTimeout
    # Authentication and authorisation
    13: Failure("denied", "the user of the database may not do this", _ROLE),  # Unauthorized
    18: Failure("unavailable", "the password is wrong or the user unknown", _ACCOUNT),
    11: Failure("unavailable", "the user is unknown", _ACCOUNT),  # UserNotFound
    31: Failure("unavailable", "a role is unknown", _ROLE),  # RoleNotFound
    8000: Failure("unavailable", "Atlas refuses this", _ACCOUNT),  # AtlasError
    391: Failure("unavailable", "the server requires a new authentication", _TRY_AGAIN),
    # The schema
    26: Failure("failed", "a collection or the database is missing", _MIGRATE),  # NamespaceNotFound
    27: Failure("failed", "an index is missing", _MIGRATE),  # IndexNotFound
    48: Failure("failed", "a collection of this name already exists", _ANOTHER_PLACE),
    67: Failure("failed", "an index can't be created", _BY_HAND),  # CannotCreateIndex
    68: _INDEX,  # IndexAlreadyExists
    72: Failure("failed", "the server does not know an option", _VERSION),  # InvalidOptions
    73: Failure("failed", "a name is not valid", "check the database's name in DATABASE_URL"),
    85: _INDEX,  # IndexOptionsConflict
    86: _INDEX,  # IndexKeySpecsConflict
    121: Failure("failed", "the collection's validator refused a document", _BY_HAND),
    11000: Failure("failed", "a unique index refused a document", _BY_HAND),  # DuplicateKey
    13297: Failure(
        "failed",
        "a database exists whose name differs only in case",
        "write its name in DATABASE_URL as the server does",
    ),
    # Features of the server
    20: Failure(
        "failed",
        "the server has no transactions",
        "start it as a replica set (--replSet, then rs.initiate()), of one member at least",
    ),
    59: _UNSUPPORTED,  # CommandNotFound
    115: _UNSUPPORTED,  # CommandNotSupported
    263: Failure("failed", "the server can't do this in a transaction", _VERSION),
    303: _UNSUPPORTED,  # on MongoDB-compatible servers
    40324: _UNSUPPORTED,  # an unknown stage
    40415: _UNSUPPORTED,  # an unknown field
    # Resources
    14031: Failure("unavailable", "the server's disk is full", "free space on it"),  # OutOfDiskSpace
    39: Failure("unavailable", "the server can't write a file", "check its disk"),  # FileStreamFailed
    146: _MEMORY,  # ExceededMemoryLimit
    292: _MEMORY,  # QueryExceededMemoryLimitNoDiskUseAllowed
    462: _BUSY,  # IngressRequestRateLimitExceeded
    16500: _BUSY,  # on MongoDB-compatible servers
    50: _SLOW,  # MaxTimeMSExpired
    262: _SLOW,  # ExceededTimeLimit
    290: _SLOW,  # TransactionExceededLifetimeLimitSeconds
    11601: _SLOW,  # Interrupted
    # Outages and elections
    6: _UNREACHABLE,  # HostUnreachable
    7: _UNREACHABLE,  # HostNotFound
    89: _UNREACHABLE,  # NetworkTimeout
    202: _UNREACHABLE,  # NetworkInterfaceExceededTimeLimit
    9001: _UNREACHABLE,  # SocketException
    64: _MEMBERS,  # WriteConcernFailed
    79: _MEMBERS,  # UnknownReplWriteConcern
    100: _MEMBERS,  # UnsatisfiableWriteConcern
    134: _MEMBERS,  # ReadConcernMajorityNotAvailableYet
    133: _PRIMARY,  # FailedToSatisfyReadPreference
    91: _SHUTDOWN,  # ShutdownInProgress
    11600: _SHUTDOWN,  # InterruptedAtShutdown
    189: _PRIMARY,  # PrimarySteppedDown
    10107: _PRIMARY,  # NotWritablePrimary
    11602: _PRIMARY,  # InterruptedDueToReplStateChange
    13435: _PRIMARY,  # NotPrimaryNoSecondaryOk
    13436: _PRIMARY,  # NotPrimaryOrSecondary
}
"""The failure for each error code."""

LOST = Failure("lost", "the connection to the server was lost", _TRY_AGAIN)
NO_CONNECTION = Failure(
    "unavailable", "no connection became free in time", "raise DB_POOL_SIZE or DB_POOL_TIMEOUT_SECONDS"
)
SLOW = _SLOW
MEMBERS = _MEMBERS
