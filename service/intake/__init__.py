"""What comes in: decoding within limits, validation, and tables from files."""
