"""Objects as plain data, and objects by their names.

`configurable.py` gives objects `get_config` and `from_config`, `serialization.py` turns configs
into plain data and back, `lookup.py` finds objects by name.
"""
