"""Steps of the recurrences in torch operations, in place: for any device and any floating type."""
