"""The miniature: a world of synthetic tickets with computable verdicts, and the small teacher trained in it."""
