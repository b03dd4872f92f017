"""Channels: one module per transport, and the registry that chooses one by the configuration.

Exception
└── TransportError    a message was not delivered; `permanent`: retrying would not help
"""
