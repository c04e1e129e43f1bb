"""The routes, one module per entity. A route parses, calls one repository method, and returns."""
