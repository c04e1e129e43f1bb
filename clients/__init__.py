"""Generated clients of the API, a folder a language, and what generates them."""
