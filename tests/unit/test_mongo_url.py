"""MongoDB's URL: every option is obeyed, or refused by its name with what is possible."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from backends.errors import BackendError
from backends.mongo.driver import open_driver
from backends.mongo.errors import connect_errors
from backends.mongo.url import OPTIONS, MongoOptions, mongo_options
from config import MongoDriver
from tests.provision import make_settings

HOST = "mongodb://app:hunter2@db.example.com:27017/shop"


def read(url: str, **settings: Any) -> MongoOptions:
    """Read a URL with settings that are not given otherwise."""
    given = {"db_pool_size": 10, "db_pool_timeout_seconds": 60, **settings}
    return mongo_options(make_settings(db_backend="mongo", database_url=url, **given))


@pytest.mark.parametrize(
    ("query", "passed_on"),
    [
        ("", ""),
        ("retryWrites=true&w=majority&journal=true&j=true", ""),
        ("readConcernLevel=majority&readPreference=primary", ""),
        ("maxPoolSize=10&waitQueueTimeoutMS=60000&socketTimeoutMS=30000", ""),
        ("tz_aware=false&unicode_decode_error_handler=strict&datetime_conversion=datetime", ""),
        ("connect=false&fsync=false", ""),
        ("authSource=admin&authMechanism=SCRAM-SHA-256", None),
        ("authMechanismProperties=AWS_SESSION_TOKEN%3Ahunter2", None),
        ("replicaSet=rs0&directConnection=true", None),
        ("loadBalanced=true", None),
        ("tls=true&tlsInsecure=true", None),
        ("tls=true&tlsAllowInvalidCertificates=true&tlsAllowInvalidHostnames=true", None),
        ("tls=true&tlsDisableOCSPEndpointCheck=true", None),
        ("ssl=true", "tls=true"),
        ("ssl=true&tls=true", "tls=true"),
        ("minPoolSize=1&maxIdleTimeMS=120000&maxConnecting=3", None),
        ("compressors=zlib&zlibCompressionLevel=9", None),
        ("heartbeatFrequencyMS=5000&localThresholdMS=20&serverMonitoringMode=poll", None),
        ("uuidRepresentation=standard&retryReads=false&wTimeoutMS=2500", None),
        ("maxAdaptiveRetries=1&enableOverloadRetargeting=false", None),
        ("wtimeout=2500", "wTimeoutMS=2500"),
        ("RETRYWRITES=true&AuthSource=admin", "authSource=admin"),
    ],
)
@pytest.mark.parametrize("driver", get_args(MongoDriver))
async def test_option_is_applied(driver: MongoDriver, query: str, passed_on: str | None) -> None:
    """By the driver, which takes the URL, or because it is so in any case; upper case doesn't matter."""
    url = f"{HOST}?{query}"
    expected = query if passed_on is None else passed_on
    assert read(url).url == (f"{HOST}?{expected}" if expected else HOST)
    settings = make_settings(
        db_backend="mongo",
        database_url=url,
        mongo_driver=driver,
        db_pool_size=10,
        db_pool_timeout_seconds=60,
    )
    await open_driver(settings).close()


def test_limits_of_the_url_count_where_no_setting_is_given() -> None:
    """Each for itself; where both are given they must agree."""
    url = f"{HOST}?connectTimeoutMS=10000&serverSelectionTimeoutMS=20000"
    arguments = read(url).arguments
    assert (arguments["connectTimeoutMS"], arguments["serverSelectionTimeoutMS"]) == (10_000, 20_000)
    with pytest.raises(BackendError, match="the option connectTimeoutMS: contradicts DB_CONNECT_TIMEOUT"):
        read(url, db_connect_timeout_seconds=5)


def test_name_of_the_application_follows_ours() -> None:
    """By ours EitherDB finds the transactions that dead instances left, and nobody else's."""
    assert read(HOST).arguments["appname"] == "eitherdb"
    assert read(f"{HOST}?appName=Cluster0").arguments["appname"] == "eitherdb/Cluster0"


@pytest.mark.parametrize(
    "place",
    ["//a:1,b:2/shop", "//%2Ftmp%2Fmongodb-27017.sock/shop", "//[::1]:1/shop", "//db", "//u:p%40@db/"],
)
def test_place_is_passed_on(place: str) -> None:
    """PyMongo reads it."""
    assert read(f"mongodb:{place}").url == f"mongodb:{place}"


REFUSED = {
    "w=1": "EitherDB writes with majority",
    "w=0": "EitherDB writes with majority",
    "journal=false": "must survive a crash",
    "j=false": "must survive a crash",
    "retryWrites=false": "must survive an election",
    "readConcernLevel=local": "what a majority has",
    "readPreference=secondaryPreferred": "reads go to the primary",
    "readPreferenceTags=dc:ny": "reads go to the primary",
    "maxStalenessSeconds=100": "reads go to the primary",
    "tz_aware=true": "leave it out",
    "unicode_decode_error_handler=ignore": "leave it out",
    "datetime_conversion=datetime_ms": "leave it out",
    "connect=true": "leave it out",
    "fsync=true": "leave it out",
    "maxPoolSize=5": "contradicts DB_POOL_SIZE=10; leave it out, and give DB_POOL_SIZE",
    "waitQueueTimeoutMS=5": "DB_POOL_TIMEOUT_SECONDS",
    "socketTimeoutMS=5": "DB_COMMAND_TIMEOUT_SECONDS",
    "timeoutMS=5": "DB_COMMAND_TIMEOUT_SECONDS",
    "connectTimeoutMS=0": "give 1000 to 300000",
    "serverSelectionTimeoutMS=x": "not a number",
    "waitQueueMultiple=5": "DB_POOL_SIZE",
    "compressors=zstd": "backports.zstd",
    "compressors=snappy,zlib": "python-snappy",
    "compressors=lzo": "Unsupported compressor",
    "zlibCompressionLevel=99": "between -1 and 9",
    "authMechanism=hunter2": "SCRAM-SHA-256",
    "authMechanismProperties=hunter2": "give NAME:value",
    "tls=maybe": "'true' or 'false'",
    "tls=true&ssl=false": "contradicts tls",
    "tlsCAFile=/none/ca.pem": "the file /none/ca.pem can't be read: No such file",
    "tlsCertificateKeyFile=/none/ca.pem": "the file /none/ca.pem can't be read",
    "tlsCRLFile=/none/ca.pem": "the file /none/ca.pem can't be read",
    "minPoolSize=x": "must be an integer",
    "maxIdleTimeMS=x": "not a valid value",
    "uuidRepresentation=x": "standard",
    "wTimeoutMS=-1": "non negative",
    "wtimeout=x": "must be an integer",
    "appName=" + "x" * 120: "at most 119 bytes",
    "ssl_ca_certs=rds.pem": "tlsCAFile=/path/to/file",
    "ssl_certfile=x": "tlsCertificateKeyFile",
    "ssl_keyfile=x": "tlsCertificateKeyFile",
    "ssl_cert_reqs=CERT_NONE": "tls=true",
    "gssapiServiceName=x": "SERVICE_NAME",
    "retryWrite=true": "is it retryWrites?",
    "bogus=hunter2": "leave it out, or give one of: appName, ",
    "replicaSet=": "has no value",
    "w=majority&W=majority": "is given twice",
}


@pytest.mark.parametrize("query", REFUSED)
def test_option_is_refused_by_name(query: str) -> None:
    """The words begin with its name and say what is possible."""
    with pytest.raises(BackendError) as caught:
        read(f"{HOST}?{query}")
    words = str(caught.value)
    names = [part.partition("=")[0] for part in query.split("&")]
    assert any(words.startswith(f"the option {name}: ") for name in names), words
    assert REFUSED[query] in words
    assert "hunter2" not in words or query.startswith("authMechanism=")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mongodb://app:hunter2/@db/shop", "write @ as %40"),
        ("mongodb://app:hunter2:x@db/shop", ": as %3A"),
        ("mongodb://app:hunter2@x@db/shop", "@ as %40"),
        ("mongodb://db:hunter2/shop", "a port is a number"),
        ("mongodb://::1/shop", "brackets"),
        ("mongodb://db/shop.items", "no dot"),
        ("mongodb://db/my%20shop", "Bad database name"),
        ("mongodb://app@db/shop", "A password is required"),
        ("mongodb://", "at least one hostname"),
        ("mongodb://a,b/shop?directConnection=true", "directConnection"),
        ("mongodb://db/shop?srvMaxHosts=1", "srvMaxHosts"),
        ("mongodb://db/shop?srvServiceName=x", "srvServiceName"),
        ("mongodb+srv://db:1/shop", "must not include a port"),
        ("mongodb://db/shop?minPoolSize=1000", "minPoolSize must be smaller"),
        ("mongodb://db/shop?tls=false&tlsInsecure=true", "the option tls: false leaves no use"),
        ("mongodb://db/shop?heartbeatFrequencyMS=1", "heartbeatFrequencyMS"),
        ("mongodb://db/shop?loadBalanced=true&replicaSet=x", "replicaSet"),
    ],
)
@pytest.mark.parametrize("driver", get_args(MongoDriver))
async def test_url_that_can_not_be_used_is_refused(driver: MongoDriver, url: str, words: str) -> None:
    """By what is wrong, before anything is connected to."""
    settings = make_settings(db_backend="mongo", database_url=url, mongo_driver=driver)
    with pytest.raises(BackendError, match=words) as caught, connect_errors():
        open_driver(settings)
    assert "hunter2" not in str(caught.value)


def test_every_option_is_tried() -> None:
    """A row that is added to the table needs a test."""
    source = Path(__file__).read_text(encoding="utf-8")
    missing = {name for name in OPTIONS if f"{name}=" not in source}
    assert missing == {"srvAllowedHostsSuffix", "tlsCertificateKeyFilePassword"}  # PyMongo takes any text
