"""One frozen object of settings, read at start-up and handed to whoever needs it."""

from config.settings import DatabaseChoice, Environment, MongoDriver, Settings, SettingsError

__all__ = ["DatabaseChoice", "Environment", "MongoDriver", "Settings", "SettingsError"]
