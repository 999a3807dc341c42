"""Stories in which real runs are killed, starved and lied to, and what has to hold after each of them."""
