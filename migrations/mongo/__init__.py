"""MongoDB's migrations: numbered steps, and the migrator that applies and records them."""
