INSERT INTO pseudonym_key (key_version, check_value) VALUES (%(key_version)s, %(check_value)s)
