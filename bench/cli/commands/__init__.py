"""One module per command of `bench`."""
