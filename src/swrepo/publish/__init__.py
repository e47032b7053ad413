"""Making a new revision."""
