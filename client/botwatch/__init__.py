"""The bot's side of Botwatch: a client for bots, a demo bot, and the `botwatch` command."""
