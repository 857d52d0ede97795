"""Proof that mail goes through: role checks (testinfra) and end-to-end sends through the appliance's own mailbox."""
