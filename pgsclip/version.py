"""The version of pgsclip, written here and nowhere else: pyproject.toml reads it as text when a wheel is built."""

__version__ = "0.1.0"
