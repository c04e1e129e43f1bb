"""`eitherdb seed`: rows of a resource, or users, from a file.

- `files`: reads CSV, JSON and JSON lines, row by row, with the number of each line.
- `json_arrays`: reads an array of objects in parts.
- `targets`: the rows of a resource, or users: what a request may set.
- `run`: validates the whole file, then stores it batch by batch.
- `command`: the options and the output.
"""
