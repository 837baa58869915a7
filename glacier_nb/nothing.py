"""What is said where a place has none of what was looked for; light, so that who only runs notebooks reads no maps."""


class Nothing(LookupError):
    """A place has none of what was looked for, as no ice or no glacier that ends in water: an answer, not a mistake."""
