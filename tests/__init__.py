"""EitherDB's tests."""
