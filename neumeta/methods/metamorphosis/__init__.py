"""Neural Metamorphosis: one INR from which the weights of every width are sampled."""
