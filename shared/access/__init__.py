"""Access: who may do what. Identities and their scopes, API tokens, and the check that every port shares."""
