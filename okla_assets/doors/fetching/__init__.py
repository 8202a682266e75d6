"""Going to addresses that strangers name."""
