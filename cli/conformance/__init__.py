"""`eitherdb conformance`: tries every rule on the configured database, and writes down what it found."""
