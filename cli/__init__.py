"""The command `eitherdb`."""
