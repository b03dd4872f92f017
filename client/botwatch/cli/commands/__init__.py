"""Commands over the API, one module each."""
