"""Objects, plain data and names: `serialization`, `lookup`."""
