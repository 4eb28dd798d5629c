"""Long experiments over several seeds, each a command that writes one table: ``python -m xailib.experiments.<name>``.

A chapter reads the stored table and runs a small part of the experiment again.
"""
