"""Tests of the kit for authors of backends: the plugin's summary, and a backend in another distribution."""
