"""What is built from the log: the engine, the rebuild, and the queries of the read models."""
