"""Sets Vault up: who may read which secret, and where the secrets come from."""
