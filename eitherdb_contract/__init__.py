"""The contract of `backends.protocols` as tests for any backend. README.md is the guide.

`suite` has the tests. `plugin` runs them on the backends that `Provision` objects describe. In a checkout
`suite` is a link to `tests/contract`; in the wheel it is a folder.
"""
