"""The study of orders: what smooth weights are worth to an INR."""
