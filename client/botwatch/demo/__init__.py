"""The demo bot: a simple strategy on real prices, replayed faster than real time; it loses money."""
