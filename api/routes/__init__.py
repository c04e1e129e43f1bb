"""The routes, a file an entity: parse, one repository call, return."""
