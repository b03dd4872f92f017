"""The error of a start that cannot succeed."""


class StartError(Exception):
    """Botwatch cannot start; each argument is a sentence with the reason and what to do."""
