"""The schemas of run files and of every JSON document."""
