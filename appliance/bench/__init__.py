"""Load: many clients at once that submit mail as users do, and what became of it."""
