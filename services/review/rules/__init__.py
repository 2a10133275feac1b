"""What a case is, how it moves with its order, and which decision fits which case; pure."""
