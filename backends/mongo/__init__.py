"""The MongoDB backend, through Motor or PyMongo's asyncio client."""
