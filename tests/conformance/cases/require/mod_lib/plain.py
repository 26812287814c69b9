x = "plain works"
