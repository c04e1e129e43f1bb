"""The settings: one frozen object, loaded at start-up and passed as an argument."""

from config.settings import DatabaseChoice, Environment, MongoDriver, Settings, SettingsError

__all__ = ["DatabaseChoice", "Environment", "MongoDriver", "Settings", "SettingsError"]
