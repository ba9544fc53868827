"""What a person asked, read and checked, and what follows from it before anything runs: plan, budget, estimate."""
