"""The SalesIngest operator: an empty shell until its own step."""
