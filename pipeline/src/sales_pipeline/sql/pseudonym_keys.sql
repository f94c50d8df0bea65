SELECT key_version, check_value, needed FROM pseudonym_key ORDER BY key_version
