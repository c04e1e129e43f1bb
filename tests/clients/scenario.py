"""One scenario that every client runs, with its expected results as JSON."""

from __future__ import annotations

EMAIL = "ada@example.com"
PASSWORD = "correct horse"

EXPECTED = {
    "signed_up": {"email": EMAIL, "full_name": "Ada Lovelace", "is_superuser": False},
    "signed_up_again": {"status": 400, "code": "already_exists"},
    "wrong_password": {"status": 400, "code": "incorrect_login"},
    "without_token": {"status": 401, "code": "not_authenticated"},
    "empty_title": {"code": "validation_error", "loc": ["body", "title"], "type": "string_too_short"},
    "titles": ["Difference Engine", "Analytical Engine"],  # Newest first.
    "count": 2,
    "first_page": ["Difference Engine"],
    "second_page": {"titles": ["Analytical Engine"], "count": None, "next_cursor": None},
    "in_order_of_time": True,
    "renamed": {"title": "Loom", "description": "Weaves algebra"},
    "without_description": {"title": "Loom", "description": None},
    "deleted": "Item deleted successfully",
    "deleted_again": {"status": 404, "code": "not_found"},
    "left": ["Difference Engine"],
}
