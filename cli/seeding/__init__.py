"""`eitherdb seed`: rows of a resource, or users, from a file.

- `files`: reads CSV, JSON and JSON lines, row by row, with the number of each line.
- `json_arrays`: reads an array of objects in parts.
- `columns`: the names of columns, and the values of CSV cells.
- `references`: the ids of rows that are named by a unique field.
- `targets`: the rows of a resource, or users: what a request may set.
- `run`: validates the whole file, then stores it batch by batch.
- `command`: the options and the output.
"""
