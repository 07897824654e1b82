"""Neural Metamorphosis: one INR that gives the weights of every width."""
