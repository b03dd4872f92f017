"""Config documents: reading, validation, JSON Schemas and reloading."""
