"""`eitherdb conformance`: test every rule on the configured database and write a report."""
