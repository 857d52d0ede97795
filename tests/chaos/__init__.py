"""`make chaos`: what is broken on purpose under load, and what became of the mail that was answered 250."""
