"""How days and times are written, in and out: one way each, whatever a language's own habits are."""
