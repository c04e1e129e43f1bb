"""The baselines: hand-written services with the raw driver, in Starlette and in FastAPI.

The same database and rows, the same answers byte for byte, a pool of the same size. They do what the four
measured workloads need and nothing else: no request ids, no limits, no headers, no cursors, no ETags, no
idempotency, and of a body they look at what they use.
"""
