"""MongoDB, through Motor or PyMongo's own asyncio client."""
