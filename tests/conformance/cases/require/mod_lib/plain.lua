return { x = "plain works" }
