"""Validates the options of MongoDB's URL; PyMongo parses most of them.

https://www.mongodb.com/docs/manual/reference/connection-string-options/ lists the options.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from pymongo import ReadPreference, common
from pymongo.errors import ConfigurationError

from backends.errors import BackendError
from backends.mongo.driver.client import APP_NAME
from backends.url_options import (
    Applied,
    Fixed,
    Parse,
    Setting,
    Table,
    Unsupported,
    read_options,
    readable_file,
    text,
)
from backends.url_parts import ENCODE, decoded, parse_hosts, refusal, split_query, split_url

if TYPE_CHECKING:
    from config import Settings

_APP_NAME_BYTES = 128 - len(APP_NAME) - 1
"""https://github.com/mongodb/specifications/blob/master/source/mongodb-handshake/handshake.md."""

_OFF = ("false", "0")
_ON = ("true", "1")
_FROM_THE_PRIMARY = Unsupported("reads go to the primary; leave it out")
_CA_FILE = Unsupported("give tls=true and tlsCAFile=/path/to/file")


def _app_name(value: str) -> str:
    if len(value.encode()) > _APP_NAME_BYTES:
        raise ValueError(f"give at most {_APP_NAME_BYTES} bytes")
    return text(value)


def _of_driver(name: str) -> Parse:
    """Let PyMongo validate the value; for an invalid value in a URL it only warns, then ignores it."""

    def parse(value: str) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # for example, a compressor that is not installed
            try:
                common.validate(name, value)
            except (ValueError, TypeError, ConfigurationError, UserWarning) as exc:
                # PyMongo's message shows the value. Secret options accept any text, so they never fail.
                raise ValueError(f"not a valid value: {exc}") from None
        return value

    return parse


def _mechanism_properties(value: str) -> str:
    """Validate the value without showing it: it may contain a session token."""
    try:
        common.validate("authmechanismproperties", value)
    except (ValueError, TypeError, ConfigurationError):
        raise ValueError("not a valid value; give NAME:value, joined by commas") from None
    return value


_PASSED_ON = (
    *("authMechanism", "authSource", "replicaSet", "directConnection", "loadBalanced"),
    *("tls", "tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames"),
    *(
        "tlsCertificateKeyFilePassword",
        "tlsDisableOCSPEndpointCheck",
        "minPoolSize",
        "maxIdleTimeMS",
        "maxConnecting",
    ),
    *(
        "compressors",
        "zlibCompressionLevel",
        "heartbeatFrequencyMS",
        "localThresholdMS",
        "serverMonitoringMode",
    ),
    *("srvServiceName", "srvMaxHosts", "srvAllowedHostsSuffix", "retryReads", "wTimeoutMS"),
    *("uuidRepresentation", "maxAdaptiveRetries", "enableOverloadRetargeting"),
)
"""The options that are passed to the driver."""

OPTIONS: Table = {
    **{name: Applied(_of_driver(name)) for name in _PASSED_ON},
    "ssl": Applied(_of_driver("tls"), "tls"),
    "tlsCAFile": Applied(readable_file),
    "tlsCertificateKeyFile": Applied(readable_file),
    "tlsCRLFile": Applied(readable_file),
    "authMechanismProperties": Applied(_mechanism_properties),
    "appName": Applied(_app_name),
    # Options that the contract depends on
    "w": Fixed(
        ("majority",), "EitherDB writes with majority, so that no election undoes a write; leave it out"
    ),
    "journal": Fixed(_ON, "an answered write must survive a crash; leave it out"),
    "retryWrites": Fixed(_ON, "a write must survive an election; leave it out"),
    "readConcernLevel": Fixed(("majority",), "EitherDB reads what a majority has; leave it out"),
    "readPreference": Fixed(("primary",), _FROM_THE_PRIMARY.reason),
    "readPreferenceTags": _FROM_THE_PRIMARY,
    "maxStalenessSeconds": _FROM_THE_PRIMARY,
    "tz_aware": Fixed(_OFF, "times are converted by EitherDB; leave it out"),
    "unicode_decode_error_handler": Fixed(("strict",), "text is UTF-8; leave it out"),
    "datetime_conversion": Fixed(("datetime",), "times are converted by EitherDB; leave it out"),
    "connect": Fixed(_OFF, "the client connects when it is used; leave it out"),
    "fsync": Fixed(_OFF, "writes wait for the journal; leave it out"),
    # Options that a setting of EitherDB replaces
    "maxPoolSize": Setting("db_pool_size"),
    "waitQueueTimeoutMS": Setting("db_pool_timeout_seconds", 1000),
    "socketTimeoutMS": Setting("db_command_timeout_seconds", 1000),
    "connectTimeoutMS": Setting("db_connect_timeout_seconds", 1000, applies=True),
    "serverSelectionTimeoutMS": Setting("db_connect_timeout_seconds", 1000, applies=True),
    "timeoutMS": Unsupported("give the time for a command as DB_COMMAND_TIMEOUT_SECONDS"),
    # Options of other drivers and older versions
    "wtimeout": Applied(_of_driver("wTimeoutMS"), "wTimeoutMS"),
    "j": Fixed(_ON, "an answered write must survive a crash; leave it out"),
    "waitQueueMultiple": Unsupported("give DB_POOL_SIZE and DB_POOL_TIMEOUT_SECONDS"),
    "ssl_ca_certs": _CA_FILE,
    "ssl_certfile": Unsupported("give tls=true and tlsCertificateKeyFile=/path/to/file"),
    "ssl_keyfile": Unsupported("give tls=true and tlsCertificateKeyFile=/path/to/file"),
    "ssl_cert_reqs": Unsupported("give tls=true, by which certificates are checked"),
    "gssapiServiceName": Unsupported("give authMechanismProperties=SERVICE_NAME:name"),
}
"""Every known option; names are case-insensitive."""

_NAMES = {name.lower(): name for name in OPTIONS}


@dataclass(frozen=True, slots=True)
class MongoOptions:
    """The arguments of the client, from the URL and the settings.

    Attributes:
        url: The URL with the options that the driver parses.
        arguments: The client's keyword arguments.
    """

    url: str
    arguments: dict[str, Any]


def mongo_options(settings: Settings, *, command_timeout: bool = True) -> MongoOptions:
    """Return the client's options; services, migrations and reports all use them.

    Writes are journalled and acknowledged by a majority. Reads go to the primary with read concern
    `majority`, so that an election never rolls back data that was read.

    Args:
        settings: The URL and the limits.
        command_timeout: Whether commands have a timeout; migrations have none.

    Raises:
        BackendError: The URL can't be parsed, or an option is refused.
    """
    url = split_url(settings.url)
    parse_hosts(url.hosts)
    if re.search("[:@/?#]|%(?![0-9A-Fa-f]{2})", f"{url.user or ''}{url.password or ''}"):
        raise BackendError(f"the URL can't be parsed: {ENCODE}")
    if "." in decoded(url.path):
        raise BackendError("the URL can't be parsed: a database's name has no dot")
    pairs = [(_NAMES.get(name.lower(), name), value) for name, value in split_query(url.query)]
    given = read_options(pairs, OPTIONS, settings)
    if given.get("tls") == "false" and any(name.startswith("tls") and name != "tls" for name in given):
        raise refusal("tls", "false leaves no use for the other options of TLS; give one or the other")
    app_name = given.pop("appName", None)
    passed_on = [pair for pair in given.items() if isinstance(OPTIONS[pair[0]], Applied)]
    limit_ms = int(settings.db_connect_timeout_seconds * 1000)
    arguments: dict[str, Any] = {
        "appname": f"{APP_NAME}/{app_name}" if app_name else APP_NAME,
        "maxPoolSize": settings.db_pool_size,
        "waitQueueTimeoutMS": int(settings.db_pool_timeout_seconds * 1000),
        "serverSelectionTimeoutMS": int(given.get("serverSelectionTimeoutMS", limit_ms)),
        "connectTimeoutMS": given.get("connectTimeoutMS", limit_ms),
        "w": "majority",
        "journal": True,
        "readConcernLevel": "majority",
        "read_preference": ReadPreference.PRIMARY,
        "retryWrites": True,
        "tz_aware": False,
        # A time outside Python's range must not make the batch unreadable: only its own mapping fails.
        "datetime_conversion": "DATETIME_AUTO",
    }
    if command_timeout:
        # Not timeoutMS: the driver would retry against a dead server until that timeout.
        arguments["socketTimeoutMS"] = int(settings.db_command_timeout_seconds * 1000)
    base = settings.url.partition("?")[0]
    query = urlencode(passed_on, quote_via=quote)
    return MongoOptions(f"{base}?{query}" if query else base, arguments)
