"""The kit for authors of backends: what its plugin says of a run, and a backend of another distribution."""
