"""Keeping a published repository healthy: tags and branches, collecting what nobody reaches, checking what is there."""
