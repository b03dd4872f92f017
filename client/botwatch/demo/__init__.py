"""The demo bot: a real strategy on real prices, replayed faster than life, honestly losing."""
