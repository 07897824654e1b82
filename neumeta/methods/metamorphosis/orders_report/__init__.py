"""The report of the study of orders: what smoothing the channels gains, and how far it could go."""
