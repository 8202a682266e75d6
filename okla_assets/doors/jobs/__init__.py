"""Jobs: what is asked for, their records, and who leads and makes them."""
