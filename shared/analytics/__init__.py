"""Trading figures, computed live from raw events: pure, streaming, fractions inside, percent at the wire."""
