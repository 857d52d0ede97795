"""The key ring: DKIM keys, TLS material, password hashes. The only place where secret bytes are held."""
