"""Repositories take what their protocols say: the same arguments with the same defaults."""

from __future__ import annotations

from inspect import Parameter, isfunction, signature

import pytest

from backends import protocols
from backends.mongo.accounts import MongoAccountRepository
from backends.mongo.counters import MongoCounterRepository
from backends.mongo.resources import MongoResourceRepository
from backends.mongo.users import MongoUserRepository
from backends.sql.accounts import SqlAccountRepository
from backends.sql.counters import SqlCounterRepository
from backends.sql.resources import SqlResourceRepository
from backends.sql.users import SqlUserRepository

REPOSITORIES: dict[type, tuple[type, ...]] = {
    protocols.UserRepository: (SqlUserRepository, MongoUserRepository),
    protocols.ResourceRepository: (SqlResourceRepository, MongoResourceRepository),
    protocols.AccountRepository: (SqlAccountRepository, MongoAccountRepository),
    protocols.CounterRepository: (SqlCounterRepository, MongoCounterRepository),
}
METHODS = [
    (protocol, name)
    for protocol in REPOSITORIES
    for name, value in vars(protocol).items()
    if isfunction(value) and not name.startswith("_")
]


def parameters(owner: type, name: str) -> list[Parameter]:
    """Return a method's parameters; types are what mypy compares."""
    found = signature(getattr(owner, name)).parameters.values()
    return [parameter.replace(annotation=Parameter.empty) for parameter in found]


@pytest.mark.parametrize(("protocol", "name"), METHODS, ids=str)
def test_method_takes_what_its_protocol_says(protocol: type, name: str) -> None:
    """A default that differs would be another page or another order on one database."""
    for repository in REPOSITORIES[protocol]:
        assert parameters(repository, name) == parameters(protocol, name), repository
