"""The contract of `backends.protocols` as tests that any backend can be put to; README.md says how.

`suite` holds the tests, `plugin` what pytest needs to run them on the backends that a `Provision` names.
In a checkout `suite` is `tests/contract`; in the wheel it is a folder of its own.
"""
