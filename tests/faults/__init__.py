"""Faults that are planted in a copy of the project, one at a time, to see that a test catches each."""
