"""Channels: one module per transport, and the registry that picks one for what is configured.

Exception
└── TransportError    a notice did not arrive; `permanent` says that trying again would not help
"""
